"""permafrost restore: a snapshot becomes a database, checked before it bears its name.

The database is loaded under a working name and renamed at the end, so that under the final name there is either
what was there before or a whole, compared restore. A living database is never dropped: it is renamed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from permafrost.documents.restore import RestoreDocument
from permafrost.errors import DatabaseError, PermafrostError, RestoreRefusedError
from permafrost.events import Note, Progress, Reporter, Steps, Warned
from permafrost.lazy_import import imported_beside
from permafrost.loading.careful_rows import load_again
from permafrost.loading.comparison import compare, differences
from permafrost.loading.frame import frame_loader
from permafrost.loading.log_map import check_log_manifest
from permafrost.loading.missing import Missing, make_folder, not_whole
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.preflight import Target, check_target
from permafrost.loading.refused_tables import TablesToLoadAgain, stop_at_a_refused_row
from permafrost.loading.restored_runbook import runbook_for, write_runbook
from permafrost.loading.source import Source, opened
from permafrost.mastodon.runbook import Runbook
from permafrost.postgres.catalog import Grant, TableName
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.database_properties import DatabaseProperties, Refused, apply_properties, make_template
from permafrost.postgres.failures import FailureSink, is_the_servers_end, stop_at_first
from permafrost.postgres.loading import loading_conninfo
from permafrost.postgres.provision import (
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
from permafrost.postgres.scratch import ScratchCluster
from permafrost.postgres.sequences import SequenceValue, set_sequences
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

    If it `keeps_going`, whatever PostgreSQL refuses is left out, and listed in the folder `missing_to`, None for one of
    a free name in the current folder; a throw-away server's restore, whose folder is of no use, lists nothing.
    """

    source: Source
    choice: SnapshotId | None
    target: Target
    server: str
    secrets_to: Path | None = None
    writes_runbook: bool = False
    runbook_file: Path | None = None
    jobs: int = 2
    keeps_going: bool = False
    missing_to: Path | None = None
    lists_missing: bool = True

    @classmethod
    def into_scratch(
        cls, source: Source, snapshot: SnapshotId, server: ScratchCluster, database: str, jobs: int
    ) -> RestoreRequest:
        """Return the request of a drill or an export: into a new database of a throw-away server, whole or not."""
        target = Target(database, replaces=False, with_owners=True, with_tablespaces=False, with_all_extensions=False)
        server_conninfo = server.conninfo("postgres")
        return cls(source, snapshot, target, server_conninfo, jobs=jobs, keeps_going=True, lists_missing=False)


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
    missing: Missing
    missing_list: Path | None
    """Where the list of what is missing was written, None if it was not, or nothing is."""

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
            whole=not self.missing,
            missing=self.missing.reasons,
            missing_list=str(self.missing_list) if self.missing_list else None,
            rows_refused=sum(self.missing.rows_refused.values()),
        )


def restore(request: RestoreRequest, *, report: Reporter, now: datetime) -> RestoreResult:
    """Restore a snapshot as the request says, and return what there is now.

    Raise `RestoreRefusedError` if something stands against it, before anything is touched; `NotWholeError` if the
    database has every row and lacks what its rows do not allow, unless the request keeps going.
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
                missing = _missing(request)
            with missing, _dropped_on_failure(connection, working, target), _naming_keep_going(request):
                with steps.step(f"make the database {working}"):
                    create_database(connection, _new_database(working, manifest, target))
                    _note_collation(connection, working, manifest, report)
                at_once = jobs if manifest.engine == "log" else 1  # a dump comes as one stream
                working_conninfo = loading_conninfo(conninfo_for(server, dbname=working), at_once)
                _load(snapshot, working_conninfo, request, missing, steps, report)
                with steps.step("compare it with the snapshot"):
                    rows = _compare(working_conninfo, manifest, request, missing, report)
                with steps.step(f"give it its name {target.database}"):
                    mark, missing_list = _mark(connection, request, manifest, missing)
                    kept_as = _give_name(connection, working, target, manifest, now, report, mark)
            written = write_secrets(secrets, secrets_to) if secrets_to is not None else ()
    runbook = runbook_for(
        manifest,
        target.database,
        kept_as=kept_as,
        secrets=written,
        secrets_to=secrets_to,
        missing=missing.reasons,
        missing_list=missing_list,
    )
    runbook_file = None
    if request.writes_runbook:
        runbook_file = write_runbook(runbook.text(), request.runbook_file, target.database, report)
    if missing and not request.keeps_going:
        raise not_whole(target.database, missing, missing_list)
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
        missing=missing,
        missing_list=missing_list,
    )


def _missing(request: RestoreRequest) -> Missing:
    place = partial(make_folder, request.missing_to, request.target.database) if request.lists_missing else None
    missing = Missing(place)
    if request.keeps_going:
        missing.make_folder()
    return missing


@contextmanager
def _naming_keep_going(request: RestoreRequest) -> Iterator[None]:
    """Let an error of PostgreSQL out of the block say how everything else can be had."""
    try:
        yield
    except DatabaseError as error:
        if not request.keeps_going and not is_the_servers_end(error):
            more = "--keep-going restores everything else, and lists what is missing"
            error.hint = f"{error.hint}; {more}" if error.hint else more
        raise


def _load(
    snapshot: OpenedSnapshot,
    conninfo: str,
    request: RestoreRequest,
    missing: Missing,
    steps: Steps,
    report: Reporter,
) -> None:
    """Load the snapshot into its empty database, analyze it, and refresh its materialized views after that.

    Once every row is in, what the rows do not allow is noted, and not worth losing them for; but where they take the
    place of a live database, only if the request keeps going.
    """
    target, jobs = request.target, request.jobs
    refused = TablesToLoadAgain()
    on_refused = refused.add if request.keeps_going else stop_at_a_refused_row
    with frame_loader(
        snapshot,
        conninfo,
        with_owners=target.with_owners,
        with_tablespaces=target.with_tablespaces,
        jobs=jobs,
    ) as frame:
        if request.keeps_going:
            frame.on_failure = missing.note
        if snapshot.manifest.engine == "log" or request.keeps_going:
            with steps.step("load types, functions and empty tables"), imported_beside(_ROWS):
                frame.load_definitions()
            with steps.step("load rows"):
                from permafrost.loading.log_rows import load_rows  # noqa: PLC0415

                load_rows(snapshot, conninfo, jobs=jobs, on_refused=on_refused, report=report)
            with steps.step("load what is not logged, large objects and sequences"):
                frame.load_data(on_refused)
                load_again(snapshot, conninfo, refused, missing)
                _set_sequences(conninfo, snapshot.manifest, frame.on_failure)
            if not target.replaces:
                frame.on_failure = missing.note
            with steps.step("build indexes and keys"):
                frame.load_indexes(report)
            with steps.step("analyze, check foreign keys"):
                frame.analyze_and_check_keys(report)
            with steps.step("add what comes after: row security, publications, event triggers"):
                frame.load_the_rest()
        else:
            with steps.step("load everything in the order of the dump"):
                frame.load_all()
                _set_sequences(conninfo, snapshot.manifest, stop_at_first)
            steps.skip(3)
            with steps.step("analyze"):
                frame.analyze(report)
            steps.skip(1)
        with steps.step("refresh materialized views"):
            frame.refresh_materialized_views()


def _compare(conninfo: str, manifest: Manifest, request: RestoreRequest, missing: Missing, report: Reporter) -> int:
    """Return how many rows there are; a difference is noted if the request keeps going, and raised if not."""
    if not request.keeps_going:
        return compare(conninfo, manifest, request.jobs, report)
    rows, differing = differences(conninfo, manifest, missing.rows_refused, request.jobs, report)
    for difference in differing:
        missing.note_difference(difference)
    return rows


def _mark(
    connection: psycopg.Connection, request: RestoreRequest, manifest: Manifest, missing: Missing
) -> tuple[str | None, Path | None]:
    """Return the comment that says that the database is not whole, None if it is, and the list of what is missing."""
    if not missing:
        return None, None
    facts = manifest.database
    name = sql.Identifier(request.target.database)
    last = sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(facts.comment)).as_bytes(connection)
    place = missing.write_list(request.target.database, manifest.snapshot, facts.encoding, last + b";")
    listed = f", listed in {place}" if place else ""
    return f"NOT WHOLE: restored by permafrost from {manifest.snapshot}; something is missing{listed}", place


def _set_sequences(conninfo: str, manifest: Manifest, on_failure: FailureSink) -> None:
    values = [
        SequenceValue(TableName(one.namespace, one.name), one.last_value, one.is_called) for one in manifest.sequences
    ]
    if values:
        with connected(conninfo) as connection:
            set_sequences(connection, values, on_failure)


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
    connection: psycopg.Connection,
    working: str,
    target: Target,
    manifest: Manifest,
    now: datetime,
    report: Reporter,
    mark: str | None,
) -> str | None:
    properties = _properties(manifest, target)
    if mark is not None:
        properties = replace(properties, comment=mark)
    refused = apply_properties(connection, working, properties, target.database)
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
