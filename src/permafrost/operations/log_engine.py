"""engine = "log": the segment log. Only row versions that are new since the last run are read (docs/engine.md).

The state is changed inside one transaction that is committed when the caller's block, which publishes the snapshot,
has ended well; a run that dies at any point leaves the old state, which fits the old snapshots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

import psycopg

from permafrost.errors import DatabaseError
from permafrost.events import Note, Progress
from permafrost.openpgp.sealing import PassphraseSealing
from permafrost.operations.contents import Counts, SnapshotContents
from permafrost.operations.crew import Crew, Task, snapshot_connection
from permafrost.operations.frame_store import store_frame
from permafrost.operations.log_manifest import manifest_tables, objects_of_chains
from permafrost.operations.run_context import RunContext
from permafrost.postgres.archive import pg_dump_program
from permafrost.postgres.catalog import (
    DatabaseDescription,
    TableName,
    describe_database,
    is_standby,
    list_tables,
    schema_migrations_version,
)
from permafrost.postgres.connection import LockConflictError
from permafrost.postgres.digest import TableContents, count_rows, digest_rows
from permafrost.postgres.identity import ServerIdentity, push_wal, read_identity, wait_until_flushed
from permafrost.postgres.locked_snapshot import (
    HELD_LOCK_TIMEOUT_MS,
    LOCK_TIMEOUT_MS,
    LockedSnapshot,
    locked_snapshot,
)
from permafrost.postgres.logged import LoggedTable, describe_tables
from permafrost.postgres.sequences import SequenceValue, read_sequences
from permafrost.processes import Program
from permafrost.repository.manifest import ObjectKind
from permafrost.repository.objects import StoredObject
from permafrost.segments.chain import Chain
from permafrost.segments.reconcile import forget_what_changed, reason_to_forget_everything, remember
from permafrost.segments.repository_store import RepositoryStore
from permafrost.segments.state import SegmentState
from permafrost.segments.worker import THIS_RUNS_DELTA, SegmentWork, segments_of, update_segment

MINIMUM_SERVER_VERSION = 140000
_ATTEMPTS = 4
_FIRST_STEP = 2


@contextmanager
def logged(run: RunContext) -> Iterator[SnapshotContents]:
    """Yield what the log engine stored; the state is replaced once the block has ended well."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            stack, contents = _attempt(run, is_last=attempt == _ATTEMPTS)
            break
        except LockConflictError as error:
            if attempt == _ATTEMPTS:
                raise
            run.report(Note(f"starting again, as another session wants a table for itself: {error.message}"))
            run.steps.back_to(_FIRST_STEP)
    with stack:
        yield contents


def _attempt(run: RunContext, *, is_last: bool) -> tuple[ExitStack, SnapshotContents]:
    """Read everything, and return what was found, with what has to be left when it is published (or not).

    Raise `LockConflictError` if a migration came between; a new attempt then waits for it before it begins.
    """
    with ExitStack() as stack:
        state = SegmentState(run.configuration.state.path / "segments.sqlite")
        stack.callback(state.close)
        stack.enter_context(state.changing())
        store = RepositoryStore(run.layout, run.home, run.sealing)
        with run.steps.step("fix one moment of the database"):
            snapshot = stack.enter_context(locked_snapshot(run.configuration.database.url))
            job = _prepare(run, snapshot, state)
        with run.steps.step("find and read what is new"), _abandoned_on_failure(store):
            found = _read_everything(run, job, state, store, is_last=is_last)
            delta = store.finish()
            url = run.configuration.database.url
            wait_until_flushed(snapshot.connection, job.identity.lsn, snapshot.taken_at, lambda: push_wal(url))
        contents = _settle(run, job, state, found, store.bases, delta)
        return stack.pop_all(), contents


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be read, fixed under the snapshot."""

    snapshot: LockedSnapshot
    description: DatabaseDescription
    schema_version: str | None
    identity: ServerIdentity
    sealing_mark: str
    tables: tuple[LoggedTable, ...]
    others: tuple[TableName, ...]
    sequences: tuple[SequenceValue, ...]
    known_objects: Mapping[str, tuple[ObjectKind, int]]
    missing: frozenset[str]
    is_standby: bool


@dataclass(slots=True)
class _Found:
    """What the workers found; they fill it in under `lock`."""

    frame: tuple[StoredObject, str | None, bool]
    chains: dict[tuple[int, int], Chain] = field(default_factory=dict)
    rows: dict[TableName, int] = field(default_factory=dict)
    others: list[TableContents] = field(default_factory=list)
    digests: dict[TableName, str] = field(default_factory=dict)
    rows_new: int = 0
    rows_gone: int = 0
    segments_changed: int = 0
    pages_done: int = 0
    lock: Lock = field(default_factory=Lock)


def _prepare(run: RunContext, snapshot: LockedSnapshot, state: SegmentState) -> _Job:
    connection = snapshot.connection
    if connection.info.server_version < MINIMUM_SERVER_VERSION:
        raise DatabaseError(
            f"the segment log needs PostgreSQL 14 or newer, and this is {connection.info.server_version // 10000}",
            hint='set engine = "dump" in [database]',
        )
    identity = read_identity(connection)
    mark = _sealing_mark(run)
    reason = _reason_to_start_anew(run, state, identity, mark)
    if reason:
        run.report(Note(f"new bases for every table: {reason}"))
        state.forget_everything()
    tables = describe_tables(connection, snapshot.tables)
    known: dict[str, tuple[ObjectKind, int]] = state.objects()  # type: ignore[assignment] # kinds as they were put in
    missing = frozenset(name for name, (_, size) in known.items() if not _is_there(run, name, size))
    if missing:
        run.report(Note(f"{len(missing)} objects that the state refers to are not in the repository any more"))
    forget_what_changed(state, tables)
    logged_names = {table.name for table in tables}
    return _Job(
        snapshot=snapshot,
        description=describe_database(connection),
        schema_version=schema_migrations_version(connection),
        identity=identity,
        sealing_mark=mark,
        tables=tables,
        others=tuple(name for name in list_tables(connection) if name not in logged_names),
        sequences=read_sequences(connection),
        known_objects=known,
        missing=missing,
        is_standby=is_standby(connection),
    )


def _reason_to_start_anew(run: RunContext, state: SegmentState, identity: ServerIdentity, sealing_mark: str) -> str:
    if run.is_full:
        return "asked for"
    reason = reason_to_forget_everything(state, identity)
    if reason:
        return reason
    if state.fact("repository") != run.repository.repository_id:
        return "the state belongs to another repository"
    if state.fact("sealing") != sealing_mark:
        return "the passphrase or the recipients have changed"
    return ""


def _sealing_mark(run: RunContext) -> str:
    """Return what tells a changed key: one snapshot must not need two of them.

    By scrypt, bound to the repository: the state must not make guessing a passphrase cheaper than its objects do.
    """
    sealing = run.sealing
    files = (sealing.passphrase_file,) if isinstance(sealing, PassphraseSealing) else sealing.key_files
    content = b"\0".join(file.read_bytes() for file in files)
    return hashlib.scrypt(content, salt=run.repository.repository_id.encode(), n=1 << 13, r=8, p=1, dklen=16).hex()


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


def _read_everything(
    run: RunContext, job: _Job, state: SegmentState, store: RepositoryStore, *, is_last: bool
) -> _Found:
    """Read the frame, and beside it segments, counts and digests by `jobs` workers."""
    database = run.configuration.database
    # pg_dump also locks what the holder does not (views, partitioned tables), so its last try is a patient one
    dump = _frame_dump(run, job, LOCK_TIMEOUT_MS if is_last else HELD_LOCK_TIMEOUT_MS)
    known_frame = _known(job, state.fact("frame"))
    with Crew(lambda: snapshot_connection(database.url, job.snapshot), database.jobs) as crew:
        frame = crew.beside(lambda: store_frame(run, dump, known_frame))
        found = _Found(frame=(StoredObject("", 0), None, False))
        crew.do_all(_tasks(run, job, state, store, found))
        found.frame = frame.result()
    return found


def _frame_dump(run: RunContext, job: _Job, lock_timeout_ms: int) -> Program:
    return pg_dump_program(
        run.configuration.database.url,
        snapshot=job.snapshot.name,
        server_major=job.identity.major,
        is_standby=job.is_standby,
        without_data=[table.name for table in job.tables] + [one.name for one in job.sequences],
        encoding=job.snapshot.connection.info.encoding,
        lock_timeout_ms=lock_timeout_ms,
    )


def _known(job: _Job, fact: Mapping[str, str] | None) -> tuple[str, StoredObject] | None:
    """Return digest and object of something that the state remembers as stored, None if it is not there any more."""
    if fact is None or fact["object"] not in job.known_objects or fact["object"] in job.missing:
        return None
    return fact["digest"], StoredObject(fact["object"], job.known_objects[fact["object"]][1])


def _tasks(run: RunContext, job: _Job, state: SegmentState, store: RepositoryStore, found: _Found) -> list[Task]:
    """Return what the workers do, the longest first."""
    total = sum(table.pages for table in job.tables)
    work = [(table, number) for table in job.tables for number in segments_of(table)]

    def segment(table: LoggedTable, number: int) -> Task:
        def task(connection: psycopg.Connection) -> None:
            one = SegmentWork(table, number, state.segment(table.oid, number))
            result = update_segment(connection, one, store, job.missing)
            if result.segment is not one.known:
                state.set_segment(table.oid, number, result.segment)
            with found.lock:
                found.chains[table.oid, number] = result.segment.chain
                found.rows[table.name] = found.rows.get(table.name, 0) + result.segment.row_count
                found.rows_new += result.rows_new
                found.rows_gone += result.rows_gone
                found.segments_changed += result.is_changed
                found.pages_done += one.pages
                done = found.pages_done
            block = job.identity.block_size
            run.report(Progress(done * block, total * block, "bytes"))

        return task

    def measure(name: TableName, *, is_logged: bool) -> Task:
        def task(connection: psycopg.Connection) -> None:
            contents = (digest_rows if run.is_audited else count_rows)(connection, name)
            with found.lock:
                if is_logged:
                    found.digests[name] = contents.digest or ""
                else:
                    found.others.append(contents)

        return task

    audits = [measure(table.name, is_logged=True) for table in _by_size(job.tables)] if run.is_audited else []
    work.sort(key=lambda one: min(one[0].pages - one[1] * 8192, 8192), reverse=True)
    counts = [measure(name, is_logged=False) for name in job.others]
    return [*audits, *(segment(table, number) for table, number in work), *counts]


def _by_size(tables: tuple[LoggedTable, ...]) -> list[LoggedTable]:
    return sorted(tables, key=lambda table: table.pages, reverse=True)


def _settle(
    run: RunContext,
    job: _Job,
    state: SegmentState,
    found: _Found,
    bases: list[StoredObject],
    delta: StoredObject | None,
) -> SnapshotContents:
    """Give the run's delta object its name everywhere, note what the next run needs, and return the contents."""
    if delta is not None:
        _name_delta(state, found, delta.name)
    frame, frame_digest, frame_is_new = found.frame
    known: dict[str, tuple[ObjectKind, int]] = dict(job.known_objects)
    known.update({base.name: ("base", base.size_bytes) for base in bases})
    if delta is not None:
        known[delta.name] = ("delta", delta.size_bytes)
    known[frame.name] = ("frame", frame.size_bytes)
    names = [frame.name, *objects_of_chains(found.chains)]
    objects = tuple((StoredObject(name, known[name][1]), known[name][0]) for name in names)
    new = (
        {stored.name for stored in bases}
        | ({delta.name} if delta else set())
        | ({frame.name} if frame_is_new else set())
    )
    state.replace_objects({name: known[name] for name in names})
    remember(state, job.identity)
    state.set_fact("repository", run.repository.repository_id)
    state.set_fact("sealing", job.sealing_mark)
    state.set_fact("frame", {"digest": frame_digest, "object": frame.name} if frame_digest else None)
    index_of = {name: index for index, name in enumerate(names)}
    rows = {table.name: found.rows.get(table.name, 0) for table in job.tables}
    return SnapshotContents(
        engine="log",
        description=job.description,
        schema_version=job.schema_version,
        tables=manifest_tables(job.tables, found.chains, rows, found.others, found.digests, index_of),
        sequences=job.sequences,
        objects=objects,
        new_objects=frozenset(new & set(names)),
        counts=Counts(found.rows_new, found.rows_gone, len(found.chains), found.segments_changed),
    )


def _name_delta(state: SegmentState, found: _Found, name: str) -> None:
    """The delta object's name is its hash, so the elements in it learn it only when it is whole."""
    for (oid, number), chain in list(found.chains.items()):
        if any(element.object_name == THIS_RUNS_DELTA for element in chain):
            named = tuple(
                replace(element, object_name=name) if element.object_name == THIS_RUNS_DELTA else element
                for element in chain
            )
            found.chains[oid, number] = named
            state.set_chain(oid, number, named)
