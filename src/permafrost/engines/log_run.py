"""A run of the segment log: frame, segments, counts and digests, read under one snapshot by parallel workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import psycopg

from permafrost.engines.contents import OVERLOOKED, Counts, Scanned, SnapshotContents
from permafrost.engines.context import STATE_FILE, RunContext
from permafrost.engines.known_description import KnownDescription
from permafrost.engines.log_frame import KnownSurroundings, Surroundings, known_frame, read_surroundings
from permafrost.engines.log_manifest import manifest_tables, objects_of_chains
from permafrost.engines.log_tasks import Found, LogTasks
from permafrost.engines.media_list import read_media_list
from permafrost.engines.media_list_publishing import CurrentList
from permafrost.engines.media_list_state import ListedTables
from permafrost.engines.scan_scope import ScanScope, find_scope, reason_to_check, report_scope
from permafrost.events import Note
from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.history_mark import Mark, leave_mark
from permafrost.postgres.identity import ServerIdentity, read_identity, wait_until_flushed
from permafrost.postgres.locked_snapshot import LockedSnapshot
from permafrost.postgres.loggable_tables import LoggedTable, describe_tables
from permafrost.postgres.wal_position import lowest_running
from permafrost.postgres.wal_summaries import NoSummariesError, check_summarizing
from permafrost.postgres.workers import Workers, snapshot_connection
from permafrost.processes.own_memory import return_large_blocks
from permafrost.repository.manifest import ObjectKind
from permafrost.repository.objects import StoredObject
from permafrost.segments.chain import minute_of
from permafrost.segments.reconcile import forget_what_changed, reason_to_forget_everything, remember
from permafrost.segments.repository_store import RepositoryStore
from permafrost.segments.scan_start import ScanStart, note_start, read_start
from permafrost.segments.state import SegmentState
from permafrost.segments.worker import THIS_RUNS_DELTA, SegmentContext


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be read, fixed under the snapshot."""

    identity: ServerIdentity
    sealing_mark: str
    tables: tuple[LoggedTable, ...]
    others: tuple[TableName, ...]
    known_objects: Mapping[str, tuple[ObjectKind, int]]
    missing: frozenset[str]
    start: ScanStart
    lowest_running: int
    starts_anew: bool
    unsummarized: str
    """Why the server cannot say what has changed, '' if it can."""

    @property
    def there(self) -> Mapping[str, int]:
        """The sizes of the objects that the state refers to and that are in the repository, by name."""
        return {name: size for name, (_, size) in self.known_objects.items() if name not in self.missing}


def read_log(
    run: RunContext, snapshot: LockedSnapshot, stack: ExitStack, sealing_mark: str, *, is_last: bool
) -> SnapshotContents:
    """Read what is new since the last run, store it, and return what the snapshot is made of.

    The new state takes the place of the old one when `stack` is left without an error.
    """
    return_large_blocks()
    url = run.configuration.database.url
    state = SegmentState(run.configuration.state.path / STATE_FILE)
    stack.callback(state.close)
    stack.enter_context(state.changing())
    jobs = run.configuration.database.jobs
    store = RepositoryStore(run.layout, run.home, run.sealing, run.times, jobs)
    found = Found()
    with (
        _abandoned_on_failure(store),
        Workers(lambda: snapshot_connection(url, snapshot), jobs) as workers,
    ):
        origin = _origin(run, snapshot, state, sealing_mark)
        if not origin.is_idle:
            workers.connect_ahead()
        job = _prepare(run, snapshot, state, sealing_mark, origin)
        known = KnownSurroundings(
            known_frame(state.fact("frame"), job.there),
            KnownDescription.of(state.fact("description"), snapshot.left_out, snapshot.connection),
            origin.is_idle,
        )
        finding = None if job.unsummarized else workers.beside(lambda: _find_scope(run, job))
        beside = workers.beside(lambda: read_surroundings(run, snapshot, job.tables, known, is_last=is_last))
        scope = ScanScope(None, job.unsummarized) if finding is None else finding.result()
        context = SegmentContext(store, minute_of(run.now), job.missing, run.times)
        tasks = LogTasks(run, state, context, scope, found, job.identity.block_size)
        workers.do_all(tasks.of(job.tables, job.others))
        listing = workers.beside(lambda: _list_media(run, snapshot, state, job, found))
        stored, media_list = store.finish(), listing.result()
        mark = leave_mark(snapshot.connection)  # which needs its snapshot no longer
        wait_until_flushed(snapshot.connection, job.identity.lsn, snapshot.taken_at)
    remember(state, job.identity, mark)
    _note_start(run, state, snapshot, job, scope, found, mark)
    return replace(_settle(run, state, job, scope, beside.result(), found, stored), media_list=media_list)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where in which history the run stands, and from where on the state may not have seen what was written.

    `is_idle` says that nothing has been written since, and that the run relies on that.
    """

    identity: ServerIdentity
    start: ScanStart
    reason_to_start_anew: str
    unsummarized: str
    is_idle: bool


def _origin(run: RunContext, snapshot: LockedSnapshot, state: SegmentState, sealing_mark: str) -> _Origin:
    connection = snapshot.connection
    identity = read_identity(connection)
    reason = _reason_to_start_anew(run, state, identity, connection, sealing_mark)
    if reason:
        run.report(Note(f"reading every table in full: {reason}"))
        state.forget_everything()
    start = read_start(state)
    unsummarized = _reason_without_summaries(run, connection, reason)
    is_relied_on = not unsummarized and not start.distrust and not reason_to_check(run, start)
    return _Origin(identity, start, reason, unsummarized, is_relied_on and start.is_idle_until(identity.next_xid))


def _prepare(
    run: RunContext, snapshot: LockedSnapshot, state: SegmentState, sealing_mark: str, origin: _Origin
) -> _Job:
    connection = snapshot.connection
    tables = describe_tables(connection, snapshot.tables)
    known: dict[str, tuple[ObjectKind, int]] = state.objects()  # type: ignore[assignment] # kinds as they were put in
    missing = frozenset(name for name, (_, size) in known.items() if not _is_there(run, name, size))
    if missing:
        run.report(Note(f"{len(missing)} objects that the state refers to are no longer in the repository"))
    forget_what_changed(state, tables)
    logged_names = {table.name for table in tables}
    return _Job(
        identity=origin.identity,
        sealing_mark=sealing_mark,
        tables=tables,
        others=tuple(
            name for name in list_tables(connection) if name not in logged_names and not snapshot.left_out.covers(name)
        ),
        known_objects=known,
        missing=missing,
        start=origin.start,
        lowest_running=lowest_running(connection),
        starts_anew=bool(origin.reason_to_start_anew),
        unsummarized=origin.unsummarized,
    )


def _reason_without_summaries(run: RunContext, connection: psycopg.Connection, reason_to_start_anew: str) -> str:
    if run.configuration.database.changed_blocks == "off":
        return "[database] changed_blocks is off"
    try:
        check_summarizing(connection)
    except NoSummariesError as error:
        return str(error)
    return reason_to_start_anew


def _reason_to_start_anew(
    run: RunContext, state: SegmentState, identity: ServerIdentity, connection: psycopg.Connection, sealing_mark: str
) -> str:
    if run.is_full:
        return "requested"
    reason = reason_to_forget_everything(state, identity, connection)
    if reason:
        return reason
    if state.fact("repository") != run.repository.repository_id:
        return "the state belongs to another repository"
    if state.fact("sealing") != sealing_mark:
        return "the passphrase or the recipients have changed"
    return ""


def _find_scope(run: RunContext, job: _Job) -> ScanScope:
    with run.times.of("summarize"):
        url, why_check = run.configuration.database.url, reason_to_check(run, job.start)
        return find_scope(url, job.identity, job.start, job.tables, why_check)


def _is_there(run: RunContext, name: str, size_bytes: int) -> bool:
    try:
        return run.layout.object(name).stat().st_size == size_bytes
    except OSError:
        return False


@contextmanager
def _abandoned_on_failure(store: RepositoryStore) -> Iterator[None]:
    try:
        yield
    except BaseException:
        store.abandon()
        raise


def _list_media(
    run: RunContext, snapshot: LockedSnapshot, state: SegmentState, job: _Job, found: Found
) -> CurrentList | None:
    """Read the media list, as far as the rows that it is made of have changed."""
    tables = ListedTables.among(job.tables)
    unchanged = tables.unchanged(state.fact("media_list"), frozenset(found.tables_changed))
    current = read_media_list(run, snapshot.connection, unchanged)
    state.set_fact("media_list", tables.fact(current.listed_at) if current is not None else None)
    return current


def _note_start(
    run: RunContext,
    state: SegmentState,
    snapshot: LockedSnapshot,
    job: _Job,
    scope: ScanScope,
    found: Found,
    mark: Mark | None,
) -> None:
    """Note from where the next run has to know what was touched, and whether it may rely on that."""
    is_worth_a_note = not job.starts_anew and run.configuration.database.changed_blocks != "off"
    start = report_scope(run, scope, job.start) if is_worth_a_note else job.start
    if scope.is_idle:
        start = start.after_idle_run(mark)
    else:
        start = start.after_run(job.lowest_running, snapshot.positions, mark)
    if scope.reason:
        start = replace(start, scanned_all_at=run.now.isoformat())
    if found.overlooked:
        start = replace(start, distrust=OVERLOOKED)
    note_start(state, start)


def _settle(
    run: RunContext,
    state: SegmentState,
    job: _Job,
    scope: ScanScope,
    beside: Surroundings,
    found: Found,
    stored: Mapping[str, StoredObject],
) -> SnapshotContents:
    """Give what was stored its name everywhere, note what the next run needs, and return the contents.

    `stored` is what the run's store has, by the name that it had until now.
    """
    _name_objects(state, found, {until_now: stored_object.name for until_now, stored_object in stored.items()})
    frame = beside.frame.stored
    known: dict[str, tuple[ObjectKind, int]] = dict(job.known_objects)
    for until_now, stored_object in stored.items():
        known[stored_object.name] = ("delta" if until_now == THIS_RUNS_DELTA else "base", stored_object.size_bytes)
    known[frame.name] = ("frame", frame.size_bytes)
    names = [frame.name, *objects_of_chains(found.outlines)]
    objects = tuple((StoredObject(name, known[name][1]), known[name][0]) for name in names)
    new = {stored_object.name for stored_object in stored.values()} | ({frame.name} if beside.frame.is_new else set())
    state.replace_objects({name: known[name] for name in names})
    state.set_fact("repository", run.repository.repository_id)
    state.set_fact("sealing", job.sealing_mark)
    state.set_fact("frame", beside.frame.fact())
    state.set_fact("description", beside.known_description)
    index_of = {name: index for index, name in enumerate(names)}
    rows = {table.name: found.rows.get(table.name, 0) for table in job.tables}
    return SnapshotContents(
        engine="log",
        description=beside.description,
        schema_version=beside.schema_version,
        tables=manifest_tables(job.tables, found.outlines, rows, found.others, found.digests, index_of),
        sequences=beside.sequences,
        objects=objects,
        new_objects=frozenset(new & set(names)),
        counts=Counts(found.rows_new, found.rows_gone, len(found.outlines), found.segments_changed),
        scanned=Scanned(found.pages_scanned, sum(table.pages for table in job.tables), scope.reason, found.overlooked),
    )


def _name_objects(state: SegmentState, found: Found, name_of: Mapping[str, str]) -> None:
    """An object's name is its hash, so the elements in it learn it only when it is whole."""
    for (oid, number), outline in list(found.outlines.items()):
        if any(element.object_name in name_of for element in outline):
            found.outlines[oid, number] = tuple(
                replace(element, object_name=name_of.get(element.object_name, element.object_name))
                for element in outline
            )
            state.name_objects(oid, number, name_of)
