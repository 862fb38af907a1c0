"""A run of the segment log: frame, segments, counts and digests, read under one snapshot by parallel workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

import psycopg

from permafrost.engines.contents import OVERLOOKED, Counts, Scanned, SnapshotContents
from permafrost.engines.context import STATE_FILE, RunContext
from permafrost.engines.log_frame import Surroundings, known_frame, read_surroundings
from permafrost.engines.log_manifest import manifest_tables, objects_of_chains
from permafrost.engines.media_list import read_media_list
from permafrost.engines.media_list_publishing import CurrentList
from permafrost.engines.media_list_state import ListedTables
from permafrost.engines.scan_scope import ScanScope, find_scope, reason_to_check, report_scope
from permafrost.events import Note, Progress
from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.digest import TableContents, count_rows, digest_rows
from permafrost.postgres.history_mark import Mark, leave_mark
from permafrost.postgres.identity import ServerIdentity, read_identity, wait_until_flushed
from permafrost.postgres.locked_snapshot import LockedSnapshot
from permafrost.postgres.loggable_tables import LoggedTable, describe_tables
from permafrost.postgres.wal_position import lowest_running
from permafrost.postgres.wal_summaries import NoSummariesError, check_summarizing
from permafrost.postgres.workers import Task, Workers, snapshot_connection
from permafrost.processes.own_memory import return_large_blocks
from permafrost.repository.manifest import ObjectKind
from permafrost.repository.objects import StoredObject
from permafrost.segments.chain import Outline, minute_of
from permafrost.segments.reconcile import forget_what_changed, reason_to_forget_everything, remember
from permafrost.segments.repository_store import RepositoryStore
from permafrost.segments.rows import SEGMENT_PAGES
from permafrost.segments.scan_start import ScanStart, note_start, read_start
from permafrost.segments.state import SegmentState
from permafrost.segments.worker import THIS_RUNS_DELTA, SegmentContext, SegmentWork, segments_of, update_segment


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


@dataclass(slots=True)
class _Found:
    """What the workers found; they fill it in under `lock`."""

    outlines: dict[tuple[int, int], Outline] = field(default_factory=dict)
    rows: dict[TableName, int] = field(default_factory=dict)
    others: list[TableContents] = field(default_factory=list)
    digests: dict[TableName, TableContents] = field(default_factory=dict)
    rows_new: int = 0
    rows_gone: int = 0
    segments_changed: int = 0
    pages_done: int = 0
    pages_scanned: int = 0
    overlooked: int = 0
    tables_changed: set[int] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)


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
    found = _Found()
    with (
        _abandoned_on_failure(store),
        Workers(lambda: snapshot_connection(url, snapshot), jobs) as workers,
    ):
        workers.connect_ahead()
        job = _prepare(run, snapshot, state, sealing_mark)
        known = known_frame(state.fact("frame"), job.there)
        finding = None if job.unsummarized else workers.beside(lambda: _find_scope(run, job))
        beside = workers.beside(lambda: read_surroundings(run, snapshot, job.tables, known, is_last=is_last))
        scope = ScanScope(None, job.unsummarized) if finding is None else finding.result()
        workers.do_all(_tasks(run, job, state, store, scope, found))
        listing = workers.beside(lambda: _list_media(run, snapshot, state, job, found))
        stored, media_list = store.finish(), listing.result()
        mark = leave_mark(url)
        wait_until_flushed(snapshot.connection, job.identity.lsn, snapshot.taken_at)
    remember(state, job.identity, mark)
    _note_start(run, state, snapshot, job, scope, found, mark)
    return replace(_settle(run, state, job, scope, beside.result(), found, stored), media_list=media_list)


def _prepare(run: RunContext, snapshot: LockedSnapshot, state: SegmentState, sealing_mark: str) -> _Job:
    connection = snapshot.connection
    identity = read_identity(connection)
    reason = _reason_to_start_anew(run, state, identity, connection, sealing_mark)
    if reason:
        run.report(Note(f"reading every table in full: {reason}"))
        state.forget_everything()
    tables = describe_tables(connection, snapshot.tables)
    known: dict[str, tuple[ObjectKind, int]] = state.objects()  # type: ignore[assignment] # kinds as they were put in
    missing = frozenset(name for name, (_, size) in known.items() if not _is_there(run, name, size))
    if missing:
        run.report(Note(f"{len(missing)} objects that the state refers to are no longer in the repository"))
    forget_what_changed(state, tables)
    logged_names = {table.name for table in tables}
    start = read_start(state)
    return _Job(
        identity=identity,
        sealing_mark=sealing_mark,
        tables=tables,
        others=tuple(
            name for name in list_tables(connection) if name not in logged_names and not snapshot.left_out.covers(name)
        ),
        known_objects=known,
        missing=missing,
        start=start,
        lowest_running=lowest_running(connection),
        starts_anew=bool(reason),
        unsummarized=_reason_without_summaries(run, connection, reason),
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


def _tasks(
    run: RunContext, job: _Job, state: SegmentState, store: RepositoryStore, scope: ScanScope, found: _Found
) -> list[Task]:
    """Return what the workers do, the longest first."""
    total = sum(table.pages for table in job.tables)
    segments = [(table, number) for table in job.tables for number in segments_of(table)]
    context = SegmentContext(store, minute_of(run.now), job.missing, run.times)

    files = {table.oid: scope.pages_of(table) for table in job.tables}

    def segment(table: LoggedTable, number: int) -> Task:
        def task(connection: psycopg.Connection) -> None:
            known = state.segment(table.oid, number)
            work = SegmentWork(table, number, known, files[table.oid], is_read_whole=bool(scope.reason))
            result = update_segment(connection, work, context)
            if result.segment is not work.known:
                state.set_segment(table.oid, number, result.segment)
            with found.lock:
                if result.segment is not work.known:
                    found.tables_changed.add(table.oid)
                found.outlines[table.oid, number] = result.segment.outline
                found.rows[table.name] = found.rows.get(table.name, 0) + result.segment.row_count
                found.rows_new += result.rows_new
                found.rows_gone += result.rows_gone
                found.segments_changed += result.is_changed
                found.pages_done += work.pages
                found.pages_scanned += result.pages_scanned
                found.overlooked += result.overlooked
                done = found.pages_done
            block = job.identity.block_size
            run.report(Progress(done * block, total * block, "bytes"))

        return task

    def measure(name: TableName, *, is_logged: bool) -> Task:
        def task(connection: psycopg.Connection) -> None:
            contents = (digest_rows if run.is_audited else count_rows)(connection, name)
            with found.lock:
                if is_logged:
                    found.digests[name] = contents
                else:
                    found.others.append(contents)

        return task

    audits = [measure(table.name, is_logged=True) for table in _by_size(job.tables)] if run.is_audited else []
    segments.sort(key=lambda named: min(named[0].pages - named[1] * SEGMENT_PAGES, SEGMENT_PAGES), reverse=True)
    counts = [measure(name, is_logged=False) for name in job.others]
    return [*audits, *(segment(table, number) for table, number in segments), *counts]


def _list_media(
    run: RunContext, snapshot: LockedSnapshot, state: SegmentState, job: _Job, found: _Found
) -> CurrentList | None:
    """Read the media list, as far as the rows that it is made of have changed."""
    tables = ListedTables.among(job.tables)
    unchanged = tables.unchanged(state.fact("media_list"), frozenset(found.tables_changed))
    current = read_media_list(run, snapshot.connection, unchanged)
    state.set_fact("media_list", tables.fact(current.listed_at) if current is not None else None)
    return current


def _by_size(tables: tuple[LoggedTable, ...]) -> list[LoggedTable]:
    return sorted(tables, key=lambda table: table.pages, reverse=True)


def _note_start(
    run: RunContext,
    state: SegmentState,
    snapshot: LockedSnapshot,
    job: _Job,
    scope: ScanScope,
    found: _Found,
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
    found: _Found,
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


def _name_objects(state: SegmentState, found: _Found, name_of: Mapping[str, str]) -> None:
    """An object's name is its hash, so the elements in it learn it only when it is whole."""
    for (oid, number), outline in list(found.outlines.items()):
        if any(element.object_name in name_of for element in outline):
            found.outlines[oid, number] = tuple(
                replace(element, object_name=name_of.get(element.object_name, element.object_name))
                for element in outline
            )
            state.name_objects(oid, number, name_of)
