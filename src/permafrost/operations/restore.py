"""permafrost restore: a snapshot becomes a database, checked before it bears its name.

The database is loaded under a working name and renamed at the end, so that under the final name there is either
what was there before or a whole, compared restore. A living database is never dropped: it is renamed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from permafrost.documents.restore import RestoreDocument
from permafrost.errors import PermafrostError, RestoreRefusedError
from permafrost.events import Note, Progress, Reporter, Steps
from permafrost.lazy_import import imported_beside
from permafrost.loading.comparison import compare
from permafrost.loading.frame import FrameLoader, frame_loader
from permafrost.loading.log_map import check_log_manifest
from permafrost.loading.logins import READER_ROLE, Login, owner_logins
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.preflight import Target, check_target
from permafrost.loading.restored_runbook import runbook_for, write_runbook
from permafrost.loading.source import Source, opened
from permafrost.loading.working_database import WorkingDatabase, clear_unfinished, report_refused, working_database
from permafrost.mastodon.runbook import Runbook
from permafrost.postgres.building.load_order import tables_that_read_others
from permafrost.postgres.building.loading import loading_conninfo
from permafrost.postgres.building.provision import database_exists
from permafrost.postgres.building.sequences import SequenceValue, set_sequences
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.layout import SnapshotId
from permafrost.repository.manifest import Manifest, Table
from permafrost.repository.secret_archive import SecretFile, check_places, write_secrets

_STEPS = 12
_ROWS = "permafrost.loading.log_rows"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which snapshot to restore (None: the newest), and where to.

    `server` is a libpq connection string; the database named in it is only used to make others. The secrets go into
    the folder `secrets_to`, if there is one. The runbook is written only if `writes_runbook`: to `runbook_file`, or to
    a free name in the current folder. `jobs` is the number of connections and index builds at once. `logs_in_as_owners`
    if the server has the snapshot's own roles, and lets us be any of them.
    """

    source: Source
    choice: SnapshotId | None
    target: Target
    server: str
    secrets_to: Path | None = None
    writes_runbook: bool = False
    runbook_file: Path | None = None
    jobs: int = 2
    logs_in_as_owners: bool = False

    @classmethod
    def into_scratch(
        cls, source: Source, snapshot: SnapshotId, server: ScratchCluster, database: str, jobs: int
    ) -> RestoreRequest:
        """Return the request of a drill or an export: into a new database of a throw-away server."""
        target = Target(database, replaces=False, with_owners=True, with_tablespaces=False, with_all_extensions=False)
        return cls(source, snapshot, target, server.conninfo("postgres"), jobs=jobs, logs_in_as_owners=True)


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
            with _unchanged_until_here(), steps.step("check the target server"):
                target = check_target(connection, target, manifest.database, report)
                clear_unfinished(connection, target)
            with working_database(connection, server, target, manifest.database) as working:
                with steps.step(f"create the database {working.name}"):
                    working.make(report)
                with _frame(snapshot, working, jobs) as (frame, conninfo):
                    logins = partial(owner_logins, conninfo) if request.logs_in_as_owners else None
                    _load(snapshot, frame, conninfo, logins, jobs, steps, report)
                    with steps.step("compare it with the snapshot"):
                        reading = conninfo_for(conninfo, user=READER_ROLE) if request.logs_in_as_owners else conninfo
                        rows = compare(reading, manifest, jobs, report)
                    with steps.step(f"rename it to {target.database}"):
                        report_refused(frame.load_event_triggers(), report)
                        frame.check_all_loaded()
                        kept_as = working.finish(now, report)
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


@contextmanager
def _frame(snapshot: OpenedSnapshot, working: WorkingDatabase, jobs: int) -> Iterator[tuple[FrameLoader, str]]:
    """Yield the loader of the snapshot's frame into the new database, and the connection string to load with."""
    at_once = jobs if snapshot.manifest.engine == "log" else 1  # a dump comes as one stream
    conninfo = loading_conninfo(working.conninfo, at_once, working.connection.info.server_version)
    target = working.target
    with frame_loader(
        snapshot,
        conninfo,
        with_owners=target.with_owners,
        with_tablespaces=target.with_tablespaces,
        jobs=jobs,
        without=working.without_extensions,
    ) as frame:
        yield frame, conninfo


def _load(
    snapshot: OpenedSnapshot,
    frame: FrameLoader,
    conninfo: str,
    logins: Callable[[], Sequence[Login]] | None,
    jobs: int,
    steps: Steps,
    report: Reporter,
) -> None:
    """Load the snapshot into its empty database, analyze it, and refresh its materialized views after that.

    `logins` says whom rows are loaded as, once there are tables; None is whoever restores.
    """
    if snapshot.manifest.engine == "log" or logins is not None:
        with steps.step("load types, functions and empty tables"), imported_beside(_ROWS):
            frame.load_definitions()
        with steps.step("load rows"):
            from permafrost.loading.log_rows import load_rows  # noqa: PLC0415

            last = _tables_to_load_last(conninfo)
            of_owners = logins() if logins else [Login(conninfo)]
            for login in of_owners:
                load_rows(snapshot, login, lambda table: _name(table) not in last, jobs=jobs, report=report)
        with steps.step("load what is not logged, large objects and sequences"):
            frame.load_data(of_owners)
            for name in last:
                for login in of_owners:
                    load_rows(snapshot, login, partial(_is_named, name), jobs=1, report=report)
            _set_sequences(conninfo, snapshot.manifest)
        with steps.step("build indexes and keys"):
            frame.load_indexes(report)
        with steps.step("analyze, check foreign keys"):
            frame.analyze_and_check_keys(report)
        with steps.step("add the rest: row security, publications, labels"):
            report_refused(frame.load_the_rest(), report)
    else:
        with steps.step("load everything in the order of the dump"):
            frame.load_all()
            report_refused(frame.load_guarded(), report)
            _set_sequences(conninfo, snapshot.manifest)
        steps.skip(3)
        with steps.step("analyze"):
            frame.analyze(report)
        steps.skip(1)
    with steps.step("refresh materialized views"):
        report_refused(frame.refresh_materialized_views(), report)


def _tables_to_load_last(conninfo: str) -> Sequence[TableName]:
    with connected(conninfo) as connection:
        return tables_that_read_others(connection)


def _is_named(name: TableName, table: Table) -> bool:
    return _name(table) == name


def _name(table: Table) -> TableName:
    return TableName(table.schema_name, table.name)


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
            f"snapshot {snapshot.id} has no secrets",
            unchanged="everything",
            hint="leave out --secrets-to",
        )
    check_places(files, folder)
    return tuple(files)


@contextmanager
def _unchanged_until_here() -> Iterator[None]:
    """Let every error out of the block say that nothing was touched yet."""
    try:
        yield
    except PermafrostError as error:
        error.unchanged = error.unchanged or "everything; no database was touched yet"
        raise
