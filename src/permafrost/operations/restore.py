"""permafrost restore: a snapshot becomes a database, checked before it bears its name.

The database is loaded under a working name and renamed at the end, so that under the final name there is either
what was there before or a whole, compared restore. A living database is never dropped: it is renamed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from permafrost.documents.restore import RestoreDocument
from permafrost.errors import PermafrostError, RestoreRefusedError
from permafrost.events import Note, Progress, Reporter, Steps, Warned
from permafrost.lazy_import import imported_beside
from permafrost.loading.comparison import compare
from permafrost.loading.frame import frame_loader
from permafrost.loading.log_map import check_log_manifest
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.preflight import Target, check_target
from permafrost.loading.restored_runbook import runbook_for, write_runbook
from permafrost.loading.source import Source, opened
from permafrost.mastodon.runbook import Runbook
from permafrost.postgres.building.database_properties import (
    DatabaseProperties,
    Refused,
    apply_properties,
    make_template,
)
from permafrost.postgres.building.loading import loading_conninfo
from permafrost.postgres.building.provision import (
    NewDatabase,
    collation_version,
    create_database,
    database_exists,
    database_oid,
    drop_database,
    is_unfinished_restore,
    name_with_suffix,
    rename_database,
    swap_databases,
)
from permafrost.postgres.building.sequences import SequenceValue, set_sequences
from permafrost.postgres.catalog import Grant, TableName
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.layout import SnapshotId
from permafrost.repository.manifest import Manifest
from permafrost.repository.secret_archive import SecretFile, check_places, write_secrets

_STEPS = 12
_WORKING_SUFFIX = "_permafrost_new"
_ROWS = "permafrost.loading.log_rows"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which snapshot to restore (None: the newest), and where to.

    `server` is a libpq connection string; the database named in it is only used to make others. The secrets go into
    the folder `secrets_to`, if there is one. The runbook is written only if `writes_runbook`: to `runbook_file`, or to
    a free name in the current folder. `jobs` is the number of connections and index builds at once.
    """

    source: Source
    choice: SnapshotId | None
    target: Target
    server: str
    secrets_to: Path | None = None
    writes_runbook: bool = False
    runbook_file: Path | None = None
    jobs: int = 2

    @classmethod
    def into_scratch(
        cls, source: Source, snapshot: SnapshotId, server: ScratchCluster, database: str, jobs: int
    ) -> RestoreRequest:
        """Return the request of a drill or an export: into a new database of a throw-away server."""
        target = Target(database, replaces=False, with_owners=True, with_tablespaces=False)
        return cls(source, snapshot, target, server.conninfo("postgres"), jobs=jobs)


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored, and where the database lies that was there before, if any."""

    snapshot: SnapshotId
    database: str
    duration_s: float
    tables: int
    rows: int
    is_audited: bool
    kept_as: str | None
    secrets: tuple[Path, ...]
    runbook: Runbook
    runbook_file: Path | None
    """Where the runbook was written, None if it was not."""

    def document(self) -> RestoreDocument:
        """Return it for JSON."""
        return RestoreDocument(
            snapshot=str(self.snapshot),
            database=self.database,
            duration_s=self.duration_s,
            tables=self.tables,
            rows=self.rows,
            audited=self.is_audited,
            kept_as=self.kept_as,
            secrets=tuple(map(str, self.secrets)),
            runbook=str(self.runbook_file) if self.runbook_file else None,
            steps=tuple(step.document() for step in self.runbook.steps),
        )


def restore(request: RestoreRequest, *, report: Reporter, now: datetime) -> RestoreResult:
    """Restore a snapshot as the request says, and return what there is now.

    Raise `RestoreRefusedError` if something stands against it, before anything is touched.
    """
    started = time.monotonic()
    target, server, secrets_to, jobs = request.target, request.server, request.secrets_to, request.jobs
    steps = Steps(report, _STEPS)
    with opened(request.source, report) as repository:
        with _unchanged_until_here(), steps.step("check the snapshot: signature, list, every object's bytes"):
            snapshot = repository.read(request.choice, now, report)
            manifest = snapshot.manifest
            report(Note(f"snapshot {snapshot.id} of {manifest.database.name}"))
            snapshot.check_objects(lambda done, total: report(Progress(done, total, "bytes")))
            check_log_manifest(manifest)
            secrets = _read_secrets(snapshot, secrets_to)
        with connected(conninfo_for(server)) as connection:
            with _unchanged_until_here(), steps.step("look at the server that it goes to"):
                target = check_target(connection, target, manifest.database, report)
                working = name_with_suffix(target.database, _WORKING_SUFFIX)
                _clear_unfinished(connection, working)
            with _dropped_on_failure(connection, working, target):
                with steps.step(f"make the database {working}"):
                    create_database(connection, _new_database(working, manifest, target))
                    _note_collation(connection, working, manifest, report)
                at_once = jobs if manifest.engine == "log" else 1  # a dump comes as one stream
                working_conninfo = loading_conninfo(conninfo_for(server, dbname=working), at_once)
                _load(snapshot, working_conninfo, target, jobs, steps, report)
                with steps.step("compare it with the snapshot"):
                    rows = compare(working_conninfo, manifest, jobs, report)
                with steps.step(f"give it its name {target.database}"):
                    kept_as = _give_name(connection, working, target, manifest, now, report)
            source = manifest.database.name
            is_rehearsal = source != target.database and database_exists(connection, source)
            written = write_secrets(secrets, secrets_to) if secrets_to is not None else ()
    runbook = runbook_for(
        manifest,
        target.database,
        kept_as=kept_as,
        secrets=written,
        secrets_to=secrets_to,
        is_rehearsal=is_rehearsal,
    )
    runbook_file = None
    if request.writes_runbook:
        runbook_file = write_runbook(runbook.text(), request.runbook_file, target.database, report)
    return RestoreResult(
        snapshot=snapshot.id,
        database=target.database,
        duration_s=round(time.monotonic() - started, 3),
        tables=len(manifest.tables),
        rows=rows,
        is_audited=manifest.is_audited,
        kept_as=kept_as,
        secrets=written,
        runbook=runbook,
        runbook_file=runbook_file,
    )


def _load(
    snapshot: OpenedSnapshot,
    conninfo: str,
    target: Target,
    jobs: int,
    steps: Steps,
    report: Reporter,
) -> None:
    """Load the snapshot into its empty database, analyze it, and refresh its materialized views after that."""
    with frame_loader(
        snapshot,
        conninfo,
        with_owners=target.with_owners,
        with_tablespaces=target.with_tablespaces,
        jobs=jobs,
    ) as frame:
        if snapshot.manifest.engine == "log":
            with steps.step("load types, functions and empty tables"), imported_beside(_ROWS):
                frame.load_definitions()
            with steps.step("load rows"):
                from permafrost.loading.log_rows import load_rows  # noqa: PLC0415

                load_rows(snapshot, conninfo, jobs=jobs, report=report)
            with steps.step("load what is not logged, large objects and sequences"):
                frame.load_data()
                _set_sequences(conninfo, snapshot.manifest)
            with steps.step("build indexes and keys"):
                frame.load_indexes(report)
            with steps.step("analyze, check foreign keys"):
                frame.analyze_and_check_keys(report)
            with steps.step("add what comes after: row security, publications, event triggers"):
                frame.load_the_rest()
        else:
            with steps.step("load everything in the order of the dump"):
                frame.load_all()
                _set_sequences(conninfo, snapshot.manifest)
            steps.skip(3)
            with steps.step("analyze"):
                frame.analyze(report)
            steps.skip(1)
        with steps.step("refresh materialized views"):
            frame.refresh_materialized_views()


def _set_sequences(conninfo: str, manifest: Manifest) -> None:
    values = [
        SequenceValue(TableName(one.namespace, one.name), one.last_value, one.is_called) for one in manifest.sequences
    ]
    if values:
        with connected(conninfo) as connection:
            set_sequences(connection, values)


def _read_secrets(snapshot: OpenedSnapshot, folder: Path | None) -> tuple[SecretFile, ...]:
    if folder is None:
        return ()
    files = snapshot.secret_files()
    if not files:
        raise RestoreRefusedError(
            f"snapshot {snapshot.id} holds no secrets",
            unchanged="everything",
            hint="leave --secrets-to out",
        )
    check_places(files, folder)
    return tuple(files)


def _clear_unfinished(connection: psycopg.Connection, working: str) -> None:
    if not database_exists(connection, working):
        return
    if not is_unfinished_restore(connection, working):
        raise RestoreRefusedError(
            f"the database {working}, under which a restore works, exists and is not one of permafrost's",
            unchanged="everything",
            hint="rename it, or restore under another name",
        )
    drop_database(connection, working)


@contextmanager
def _unchanged_until_here() -> Iterator[None]:
    """Let every error out of the block say that nothing was touched yet."""
    try:
        yield
    except PermafrostError as error:
        error.unchanged = error.unchanged or "everything; no database was touched yet"
        raise


@contextmanager
def _dropped_on_failure(connection: psycopg.Connection, working: str, target: Target) -> Iterator[None]:
    """Drop the unfinished database if the block fails, and let the error say what is as it was.

    A signal may come between the renaming and the end of the block: then the restore is there, and stays.
    """
    before = database_oid(connection, target.database)
    try:
        yield
    except BaseException as error:
        try:
            if database_oid(connection, target.database) != before:
                left = f"nothing is undone: the restore had ended, and {target.database} is whole and compared"
            else:
                drop_database(connection, working)
                left = f"{_live(target)}; the unfinished one was dropped"
        except PermafrostError:
            left = f"{_live(target)}; the unfinished one is {working}, which the next restore drops"
        if isinstance(error, PermafrostError) and not error.unchanged:
            error.unchanged = left
        raise


def _live(target: Target) -> str:
    return f"the database {target.database} is as it was" if target.replaces else "no database was added"


def _new_database(name: str, manifest: Manifest, target: Target) -> NewDatabase:
    facts = manifest.database
    return NewDatabase(
        name=name,
        owner=facts.owner if target.with_owners else None,
        encoding=facts.encoding,
        collate=facts.collate,
        ctype=facts.ctype,
        locale_provider=facts.locale_provider,
        locale=facts.locale,
        icu_rules=facts.icu_rules,
        tablespace=facts.tablespace if target.with_tablespaces else None,
    )


def _note_collation(connection: psycopg.Connection, working: str, manifest: Manifest, report: Reporter) -> None:
    before, now = manifest.database.collation_version, collation_version(connection, working)
    if before is not None and now is not None and before != now:
        report(
            Note(
                f"the collation {manifest.database.collate} was version {before} and is version {now} here: text may"
                " sort in another order; indexes are built in the new one"
            )
        )


def _give_name(
    connection: psycopg.Connection, working: str, target: Target, manifest: Manifest, now: datetime, report: Reporter
) -> str | None:
    refused = apply_properties(connection, working, _properties(manifest, target), target.database)
    kept_as = None
    if target.replaces:
        kept_as = name_with_suffix(target.database, f"_before_{now:%Y%m%dT%H%M%S}")
        swap_databases(connection, live=target.database, replacement=working, kept_as=kept_as)
    else:
        rename_database(connection, working, target.database)
    if manifest.database.is_template:
        refused += make_template(connection, target.database)
    _report_refused(refused, report)
    return kept_as


def _properties(manifest: Manifest, target: Target) -> DatabaseProperties:
    facts = manifest.database
    grants = None
    if target.with_owners and facts.grants is not None:
        grants = [Grant(one.grantee, one.privilege, one.is_grantable, one.grantor) for one in facts.grants]
    return DatabaseProperties(
        comment=facts.comment,
        settings=[one for one in facts.settings if target.with_owners or not one[0]],
        owner=facts.owner if target.with_owners else None,
        grants=grants,
        connection_limit=facts.connection_limit,
        security_labels=facts.security_labels or (),
    )


def _report_refused(refused: list[Refused], report: Reporter) -> None:
    for one in refused:
        report(Warned(f"left out, run it as a superuser: {one.statement} ({one.reason})"))
