"""permafrost restore: a snapshot becomes a database, checked before it gets its name.

The database is loaded under a working name and renamed at the end, so that under the final name there is either
what was there before or a whole, compared restore. A live database is never dropped, only renamed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from permafrost.documents.restore import RestoreDocument
from permafrost.errors import DatabaseError, PermafrostError, ReportedError, RestoreRefusedError
from permafrost.events import Note, Progress, Reporter, Steps, Warned
from permafrost.loading.existing_database import check_existing, existing_database
from permafrost.loading.frame import FrameLoader, frame_loader
from permafrost.loading.load import Load
from permafrost.loading.media.laying_out import MediaRequest, RestoredMedia, source_for
from permafrost.loading.media.restoring import restore_media
from permafrost.loading.media.sealed import SealedOpening
from permafrost.loading.media.source import MediaSource
from permafrost.loading.missing import Missing, make_folder, not_whole
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.preflight import Target, check_target, tell_whose_code_runs, warn_of_foreign_code
from permafrost.loading.restored_runbook import Lacks, RestoredAs, runbook_for, write_runbook
from permafrost.loading.rows.log_map import check_log_manifest
from permafrost.loading.source import OpenedRepository, Source, opened
from permafrost.loading.working_database import WorkingDatabase, clear_unfinished, working_database
from permafrost.mastodon.runbook import Runbook
from permafrost.postgres.building.loading import loading_conninfo
from permafrost.postgres.building.provision import database_exists
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.failures import is_the_servers_end
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.layout import SnapshotId
from permafrost.repository.manifest import Manifest
from permafrost.repository.secret_archive import SecretFile, check_places, write_secrets
from permafrost.runs import RESTORE, RunRecords

_STEPS = 12


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which snapshot to restore (None: the newest), and where to.

    `server` is a libpq connection string; the database named in it is only used to make others. The secrets go into
    the folder `secrets_to`, if there is one. The runbook is written only if `writes_runbook`: to `runbook_file`, or to
    a free name in the current folder. `jobs` is the number of connections and index builds at once. It
    `logs_in_as_owners` where the server has the snapshot's own roles, and lets us be any of them.

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
    media: MediaRequest | None = None
    logs_in_as_owners: bool = False
    state: Path | None = None
    """The state folder to record the run in, that of the repository's own server."""

    @classmethod
    def into_scratch(
        cls, source: Source, snapshot: SnapshotId, server: ScratchCluster, database: str, jobs: int
    ) -> RestoreRequest:
        """Return the request of a drill or an export: into a new database of a throw-away server, whole or not."""
        target = Target(database, replaces=False, with_owners=True, with_tablespaces=False, with_all_extensions=False)
        return cls(
            *(source, snapshot, target, server.conninfo("postgres")),
            jobs=jobs,
            keeps_going=True,
            lists_missing=False,
            logs_in_as_owners=True,
        )


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
    media: RestoredMedia | None = None
    """What was laid out, None if nobody has asked for that."""

    @property
    def has_findings(self) -> bool:
        """Whether the database lacks something, or the media do."""
        return bool(self.missing) or (self.media is not None and self.media.missing > 0)

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
            media=self.media.document() if self.media is not None else None,
        )


def restore(request: RestoreRequest, *, report: Reporter, now: datetime) -> RestoreResult:
    """Restore a snapshot as the request says, record how that ended, and return what there is now.

    The record quotes no row, as reasons may. Raise what `_restore` raises. A state folder that cannot be written is a
    warning: it must not stand in the way.
    """
    if request.state is None:
        return _restore(request, report=report, now=now)
    try:
        records = RunRecords(request.state)
        number = records.begin(RESTORE, now)
    except PermafrostError as error:
        report(Warned(f"this restore is not recorded: {error.message}"))
        return _restore(request, report=report, now=now)
    details: dict[str, object] = {"database": request.target.database}
    try:
        result = _restore(request, report=report, now=now)
    except BaseException as error:
        details |= {"error": str(error).partition("\n")[0], "kind": type(error).__name__}
        records.end(number, datetime.now(UTC), "failed", details=details)
        raise
    details |= {"is_whole": not result.missing, "missing": len(result.missing.reasons)}
    records.end(number, datetime.now(UTC), "done", snapshot=str(result.snapshot), details=details)
    return result


def _restore(request: RestoreRequest, *, report: Reporter, now: datetime) -> RestoreResult:
    """Restore a snapshot as the request says, and return what there is now.

    Raise `RestoreRefusedError` if something stands against it, before anything is touched; `NotWholeError` if the
    database has every row and lacks what its rows do not allow, unless the request keeps going.
    """
    started = time.monotonic()
    steps = Steps(report, _STEPS + (request.media is not None))
    with opened(request.source, report) as repository:
        with _unchanged_until_here(), steps.step("check the snapshot: signature, list, every object's bytes"):
            snapshot = _checked_snapshot(repository, request, report, now)
            secrets = _read_secrets(snapshot, request.secrets_to)
            media_from = source_for(request.media, request.source.repository, str(snapshot.id))
        manifest = snapshot.manifest
        with connected(conninfo_for(request.server)) as connection:
            restored = _into_server(connection, snapshot, request, steps, report, now)
            source = manifest.database.name
            is_rehearsal = source != restored.target.database and database_exists(connection, source)
            written = write_secrets(secrets, request.secrets_to) if request.secrets_to is not None else ()
        runbook = runbook_for(
            manifest,
            RestoredAs(restored.target.database, request.server, restored.kept_as, is_rehearsal),
            secrets=written,
            secrets_to=request.secrets_to,
            lacks=Lacks(restored.missing.reasons, restored.missing_list),
            media_to=request.media.to if request.media is not None else None,
        )
        runbook_file = None
        if request.writes_runbook:
            runbook_file = write_runbook(runbook.text(), request.runbook_file, restored.target.database, report)
        with steps.step("lay the media out") if request.media is not None else nullcontext():
            opening = SealedOpening(snapshot.key, snapshot.home, repository.verifier, manifest.repository)
            media = _restore_media(request, media_from, opening, snapshot.id, restored.target.database, report)
    if restored.missing and not request.keeps_going:
        raise not_whole(restored.target.database, restored.missing, restored.missing_list)
    return RestoreResult(
        snapshot=snapshot.id,
        database=restored.target.database,
        duration_s=round(time.monotonic() - started, 3),
        tables=len(manifest.tables),
        rows=restored.rows,
        is_audited=manifest.is_audited,
        kept_as=restored.kept_as,
        secrets=written,
        runbook=runbook,
        runbook_file=runbook_file,
        missing=restored.missing,
        missing_list=restored.missing_list,
        media=media,
    )


def _restore_media(
    request: RestoreRequest,
    source: MediaSource | None,
    opening: SealedOpening,
    snapshot: SnapshotId,
    database: str,
    report: Reporter,
) -> RestoredMedia | None:
    """Lay the media out; if that fails, the database is there all the same."""
    if request.media is None or source is None:
        return None
    try:
        conninfo = conninfo_for(request.server, dbname=database)
        return restore_media(request.media, source, opening, str(snapshot), conninfo, report)
    except ReportedError as error:
        error.unchanged = error.unchanged or f"the database {database}, which is restored and compared"
        raise


def _checked_snapshot(
    repository: OpenedRepository, request: RestoreRequest, report: Reporter, now: datetime
) -> OpenedSnapshot:
    """Return the snapshot that is asked for, once each of its bytes is known to be right."""
    snapshot = repository.read(request.choice, now, report)
    report(Note(f"snapshot {snapshot.id} of {snapshot.manifest.database.name}"))
    snapshot.check_objects(lambda done, total: report(Progress(done, total, "bytes")))
    check_log_manifest(snapshot.manifest)
    return snapshot


@dataclass(frozen=True, slots=True)
class _Restored:
    """What a server has now: the database of `target`, compared with the snapshot, and what it lacks."""

    target: Target
    rows: int
    kept_as: str | None
    missing: Missing
    missing_list: Path | None


def _into_server(
    connection: psycopg.Connection,
    snapshot: OpenedSnapshot,
    request: RestoreRequest,
    steps: Steps,
    report: Reporter,
    now: datetime,
) -> _Restored:
    """Make the snapshot's database under a working name, compare it, and give it its own."""
    manifest = snapshot.manifest
    with _unchanged_until_here(), steps.step("check the target server"):
        lists = request.keeps_going and request.lists_missing
        target = check_target(connection, request.target, manifest.database, report, needs_extensions=not lists)
        if target.is_existing:
            check_existing(request.server, target, manifest)
        else:
            clear_unfinished(connection, target)
        warn_of_foreign_code(manifest.database, report)
        if not request.logs_in_as_owners:
            tell_whose_code_runs(connection, target.role, report)
        missing = _missing(request)
    place = existing_database if target.is_existing else working_database
    with (
        missing,
        place(connection, request.server, target, manifest.database) as working,
        _naming_keep_going(request),
    ):
        with steps.step(f"{'prepare' if target.is_existing else 'create'} the database {working.name}"):
            working.make(report)
        with _frame(snapshot, working, request) as (frame, conninfo):
            load = Load(
                *(snapshot, frame, conninfo, missing, report),
                jobs=request.jobs,
                keeps_going=request.keeps_going,
                keeps_rows=not target.replaces,
                lists_missing=request.lists_missing,
                logs_in_as_owners=request.logs_in_as_owners,
            )
            load.everything(steps)
            with steps.step("compare it with the snapshot"):
                rows = load.compare()
            with steps.step(f"finish {target.database}" if target.is_existing else f"rename it to {target.database}"):
                load.event_triggers()
                frame.check_all_loaded()
                mark, missing_list = _mark(connection, request, manifest, missing)
                kept_as = working.finish(now, report, mark)
    return _Restored(target, rows, kept_as, missing, missing_list)


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


def _mark(
    connection: psycopg.Connection, request: RestoreRequest, manifest: Manifest, missing: Missing
) -> tuple[str | None, Path | None]:
    """Return the comment that says that the database is not whole, None if it is, and the list of what is missing."""
    if not missing:
        return None, None
    name, comment = sql.Identifier(request.target.database), sql.Literal(manifest.database.comment)
    last = sql.SQL("COMMENT ON DATABASE {} IS {};").format(name, comment).as_bytes(connection)
    place = missing.write_list(request.target.database, manifest.snapshot, manifest.database.encoding, last)
    listed = f", listed in {place}" if place else ""
    return f"NOT WHOLE: restored by permafrost from {manifest.snapshot}; something is missing{listed}", place


@contextmanager
def _frame(
    snapshot: OpenedSnapshot, working: WorkingDatabase, request: RestoreRequest
) -> Iterator[tuple[FrameLoader, str]]:
    """Yield the loader of the snapshot's frame into the new database, and the connection string to load with.

    What needs an extension that cannot be had is left out as a whole where nobody will finish the database, and is
    otherwise tried and listed.
    """
    jobs = request.jobs
    at_once = jobs if snapshot.manifest.engine == "log" else 1  # a dump comes as one stream
    conninfo = loading_conninfo(working.conninfo, at_once, working.connection.info.server_version)
    target = working.target
    with frame_loader(
        snapshot,
        conninfo,
        with_owners=target.with_owners,
        with_tablespaces=target.with_tablespaces,
        jobs=jobs,
        without=(*target.without_extensions, *(() if request.lists_missing else working.without_extensions)),
    ) as frame:
        yield frame, conninfo


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
    except ReportedError as error:
        error.unchanged = error.unchanged or "everything; no database was touched yet"
        raise
