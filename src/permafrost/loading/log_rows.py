"""Loads the rows of logged tables: streamed from object through gpg and zstd into COPY, never in a file.

The order of rows in a table means nothing, so every object is read where it lies: first the gone lines out of all
delta objects, which are few; then each base, and each delta object once, into the tables that its members belong
to. Gone lines are dropped on the way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import numpy as np
import psycopg
from psycopg import sql

from permafrost.errors import IntegrityError
from permafrost.events import Progress, Reporter
from permafrost.loading.log_map import ElementPlace, LogMap, log_map
from permafrost.loading.object_text import READ_BYTES, object_text
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.workers import Crew, Task
from permafrost.repository.manifest import Table
from permafrost.segments.delta_file import read_delta
from permafrost.segments.lines import LineFilter, parse_gone, surviving_lines
from permafrost.segments.rows import Uint32

_GONE_BYTES = 64 << 20
"""A segment has at most 2.4 million rows, and starts again when more of its lines are gone than are left."""
_SHARE = 1.2  # of an even share; a little more than that costs less than two workers on one table


def load_rows(
    snapshot: OpenedSnapshot, conninfo: str, is_wanted: Callable[[Table], bool], *, jobs: int, report: Reporter
) -> None:
    """Load the logged tables of the snapshot that are wanted into the database that `conninfo` names, which has them.

    Raise `IntegrityError` if an object does not hold what the manifest says, `DatabaseError` if a row is refused.
    """
    places = log_map(snapshot.manifest).where(is_wanted)
    with Crew(lambda: connected(conninfo), jobs) as crew:
        gone = _gather_gone(snapshot, places, crew)
        total = sum(snapshot.stored(index).size_bytes for index in (*places.bases, *places.members))
        progress = _Counter(total, report)

        def bases(load: _TableLoad) -> Task:
            def task(connection: psycopg.Connection) -> None:
                with _emptied(connection, load):
                    for index in load.bases:
                        target = places.bases[index]
                        with object_text(snapshot, index) as text:
                            chunks = iter(lambda: text.read(READ_BYTES), b"")
                            kept = surviving_lines(chunks, target.first_line, target.lines, gone[target.segment])
                            _copy(connection, target.table, kept, is_frozen=load.is_whole)
                        progress.add(snapshot.stored(index).size_bytes)

            return task

        def delta(index: int) -> Task:
            def task(connection: psycopg.Connection) -> None:
                _load_delta(snapshot, index, places.members[index], gone, connection)
                progress.add(snapshot.stored(index).size_bytes)

            return task

        loads = _table_loads(snapshot, places, jobs)
        crew.do_all([*(bases(load) for load in loads), *(delta(index) for index in places.members)])


@dataclass(frozen=True, slots=True)
class _TableLoad:
    """Bases of one table that one worker loads, all of its bases if it `is_whole`."""

    table: Table
    bases: tuple[int, ...]
    is_whole: bool


def _table_loads(snapshot: OpenedSnapshot, places: LogMap, jobs: int) -> list[_TableLoad]:
    """Return who loads what, the largest first.

    A table is loaded by one worker, with its rows frozen and without another that extends the same file at the same
    time; but one that is more than its worker's share of everything is loaded by all of them.
    """
    by_table: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, target in places.bases.items():
        by_table[target.table.schema_name, target.table.name].append(index)

    def size(indices: Iterable[int]) -> int:
        return sum(snapshot.stored(index).size_bytes for index in indices)

    share = _SHARE * size(places.bases) / jobs
    loads = []
    for indices in by_table.values():
        table = places.bases[indices[0]].table
        if jobs > 1 and len(indices) > 1 and size(indices) > share:
            loads += [_TableLoad(table, (index,), is_whole=False) for index in indices]
        else:
            loads.append(_TableLoad(table, tuple(indices), is_whole=True))
    return sorted(loads, key=lambda load: size(load.bases), reverse=True)


@contextmanager
def _emptied(connection: psycopg.Connection, load: _TableLoad) -> Iterator[None]:
    """Run the block in a transaction that has emptied the table, if it is loaded whole.

    Only there may rows be frozen (manual, COPY, FREEZE): they are then never written again for vacuum, and every
    scan to come, such as an index's build, is spared looking up whether they are visible.
    """
    if not load.is_whole:
        yield
        return
    name = sql.Identifier(load.table.schema_name, load.table.name)
    with database_errors(f"cannot load {load.table.schema_name}.{load.table.name}"), connection.transaction():
        connection.execute(sql.SQL("TRUNCATE ONLY {}").format(name))
        yield


def table_lines(snapshot: OpenedSnapshot, wanted: Table) -> Iterator[bytes]:
    """Yield the rows of one logged table as COPY text, its `columns` in their order; only its objects are opened."""
    places = log_map(snapshot.manifest).where(lambda table: table is wanted)
    bases, members = places.bases, places.members
    found: dict[tuple[int, int], list[Uint32]] = defaultdict(list)
    for index, own in members.items():
        for segment, numbers in _gone_in(snapshot, index, own):
            found[segment].append(numbers)
    gone = {key: np.unique(np.concatenate(parts)) for key, parts in found.items()}
    none = np.empty(0, np.uint32)
    for index, target in bases.items():
        with object_text(snapshot, index) as text:
            chunks = iter(lambda text=text: text.read(READ_BYTES), b"")  # type: ignore[misc] # mypy 7460
            yield from surviving_lines(chunks, target.first_line, target.lines, gone.get(target.segment, none))
    for index, own in members.items():
        filters = {
            number: LineFilter(target.first_line, target.lines, gone.get(target.segment, none))
            for number, target in own.items()
        }
        with object_text(snapshot, index) as text:
            for part in read_delta(text):
                if part.kind == "new" and part.member in filters:
                    for chunk in part.chunks:
                        yield from filters[part.member].feed(chunk)
        for one in filters.values():
            one.finish()


def _gone_in(
    snapshot: OpenedSnapshot, index: int, members: Mapping[int, ElementPlace]
) -> Iterator[tuple[tuple[int, int], Uint32]]:
    """Yield segment and gone lines of each of the `members` of one delta object."""
    with object_text(snapshot, index) as text:
        for part in read_delta(text):
            target = members.get(part.member)
            if part.kind != "gone" or target is None:
                continue
            if part.size_bytes > _GONE_BYTES:
                raise IntegrityError("a delta names more gone lines than a segment can have")
            yield target.segment, parse_gone(b"".join(part.chunks), target.first_line)


def _gather_gone(snapshot: OpenedSnapshot, places: LogMap, crew: Crew) -> dict[tuple[int, int], Uint32]:
    """Return each segment's gone lines, ascending, out of all delta objects."""
    found: dict[tuple[int, int], list[Uint32]] = defaultdict(list)
    lock = Lock()

    def read(index: int) -> None:
        for segment, numbers in _gone_in(snapshot, index, places.members[index]):
            with lock:
                found[segment].append(numbers)

    crew.beside_all(read, places.members)
    gone: dict[tuple[int, int], Uint32] = defaultdict(lambda: np.empty(0, np.uint32))
    gone.update({key: np.unique(np.concatenate(parts)) for key, parts in found.items()})
    return gone


def _load_delta(
    snapshot: OpenedSnapshot,
    index: int,
    members: Mapping[int, ElementPlace],
    gone: Mapping[tuple[int, int], Uint32],
    connection: psycopg.Connection,
) -> None:
    filters = {
        number: LineFilter(target.first_line, target.lines, gone.get(target.segment, np.empty(0, np.uint32)))
        for number, target in members.items()
    }
    with object_text(snapshot, index) as text:
        for part in read_delta(text):
            if part.kind == "new" and part.member in filters:
                pieces = (piece for chunk in part.chunks for piece in filters[part.member].feed(chunk))
                _copy(connection, members[part.member].table, pieces)
    for one in filters.values():
        one.finish()


def _copy(connection: psycopg.Connection, table: Table, pieces: Iterator[bytes], *, is_frozen: bool = False) -> None:
    columns = sql.SQL(", ").join(sql.Identifier(column) for column in table.columns or ())
    listed = sql.SQL("({})").format(columns) if table.columns else sql.SQL("")
    name = sql.Identifier(table.schema_name, table.name)
    query = sql.SQL("COPY {} {} FROM STDIN{}").format(name, listed, sql.SQL(" (FREEZE)" if is_frozen else ""))
    with (
        database_errors(f"cannot load rows into {table.schema_name}.{table.name}"),
        connection.cursor() as cursor,
        cursor.copy(query) as copy,
    ):
        for piece in pieces:
            copy.write(piece)


class _Counter:
    def __init__(self, total: int, report: Reporter) -> None:
        self._total, self._report, self._done, self._lock = total, report, 0, Lock()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._done += size_bytes
            self._report(Progress(self._done, self._total, "bytes"))
