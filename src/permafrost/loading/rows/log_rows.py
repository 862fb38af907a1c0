"""Loads the rows of logged tables: streamed from object through gpg and zstd into COPY, never in a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

import psycopg
from psycopg import sql

from permafrost.errors import DatabaseError
from permafrost.events import Progress, Reporter
from permafrost.loading.logins import Login
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.log_lines import GoneLines, base_lines, delta_lines, gone_lines
from permafrost.loading.rows.log_map import LogMap, log_map
from permafrost.loading.rows.refused_tables import RefusedTables, stop_at_a_refused_row
from permafrost.postgres.building.copy_in import copy_in
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.failures import is_the_servers_end
from permafrost.postgres.workers import Task, Workers
from permafrost.repository.manifest import Table

_SHARE = 1.2  # of an even share; a little more than that costs less than two workers on one table


def load_rows(
    snapshot: OpenedSnapshot,
    login: Login,
    is_wanted: Callable[[Table], bool],
    *,
    jobs: int,
    on_refused: RefusedTables = stop_at_a_refused_row,
    report: Reporter,
) -> None:
    """Load the logged tables of the snapshot that are wanted, and are the login's, into its database, which has them.

    A table of which a row is refused goes to `on_refused`, from any thread; what it then holds means nothing. Raise
    `IntegrityError` if an object does not hold what the manifest says.
    """
    places = log_map(snapshot.manifest).where(lambda table: login.loads(_name(table)) and is_wanted(table))
    if not places.bases and not places.members:
        return
    gone = GoneLines()
    with Workers(lambda: connected(login.conninfo), jobs) as workers:
        workers.beside_all(lambda index: gone.add(gone_lines(snapshot, index, places.members[index])), places.members)
        gone.merge()
        total = sum(snapshot.stored(index).size_bytes for index in (*places.bases, *places.members))
        progress = _Counter(total, report)

        loads = _table_loads(snapshot, places, jobs, can_empty=login.can_empty)
        emptied = {_name(load.table): load.is_emptied for load in loads if load.is_whole}

        def bases(load: _TableLoad) -> Task:
            def task(connection: psycopg.Connection) -> None:
                with _refused_to(on_refused, load.table), _emptied(connection, load):
                    for index in load.bases:
                        with closing(base_lines(snapshot, index, places.bases[index], gone)) as pieces:
                            _copy(connection, load.table, pieces, is_frozen=load.is_whole)
                        progress.add(snapshot.stored(index).size_bytes)

            return task

        def delta(index: int) -> Task:
            def task(connection: psycopg.Connection) -> None:
                with closing(delta_lines(snapshot, index, places.members[index], gone)) as parts:
                    for place, pieces in parts:
                        if (is_emptied := emptied.get(_name(place.table))) is not None:
                            is_emptied.wait()  # bases come first in the queue, so a worker is at it
                        with _refused_to(on_refused, place.table):
                            _copy(connection, place.table, pieces)
                        for _ in pieces:
                            pass  # what a refused row has left; the filter counts them all
                progress.add(snapshot.stored(index).size_bytes)

            return task

        workers.do_all([*(bases(load) for load in loads), *(delta(index) for index in places.members)])


@dataclass(frozen=True, slots=True)
class _TableLoad:
    """Bases of one table that one worker loads, all of its bases if it `is_whole`: then it empties the table first.

    `is_emptied` is set once that is done, or has failed.
    """

    table: Table
    bases: tuple[int, ...]
    is_whole: bool
    is_emptied: Event = field(default_factory=Event)


def _table_loads(snapshot: OpenedSnapshot, places: LogMap, jobs: int, *, can_empty: bool) -> list[_TableLoad]:
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
            loads.append(_TableLoad(table, tuple(indices), is_whole=can_empty))
    return sorted(loads, key=lambda load: size(load.bases), reverse=True)


@contextmanager
def _emptied(connection: psycopg.Connection, load: _TableLoad) -> Iterator[None]:
    """Run the block in a transaction that has emptied the table, if it is loaded whole.

    Only there may rows be frozen (manual, COPY, FREEZE): they are then never written again for vacuum, and every
    scan to come, such as an index's build, is spared looking up whether they are visible.

    Rows of the table's deltas that another worker had loaded before would go with the rest, so that one waits
    for `is_emptied`; from then on the lock of TRUNCATE makes it wait for the end of the transaction.
    """
    if not load.is_whole:
        yield
        return
    name = _name(load.table)
    with _set_at_last(load.is_emptied), database_errors(f"cannot load {name}"), connection.transaction():
        connection.execute(sql.SQL("TRUNCATE ONLY {}").format(name.identifier()))
        load.is_emptied.set()
        yield


@contextmanager
def _set_at_last(event: Event) -> Iterator[None]:
    try:
        yield
    finally:
        event.set()


@contextmanager
def _refused_to(on_refused: RefusedTables, table: Table) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        if is_the_servers_end(error):
            raise
        on_refused(table, error)


def _name(table: Table) -> TableName:
    return TableName(table.schema_name, table.name)


def _copy(connection: psycopg.Connection, table: Table, pieces: Iterator[bytes], *, is_frozen: bool = False) -> None:
    name = _name(table)
    with database_errors(f"cannot load rows into {name}"):
        copy_in(connection, name, table.columns or (), pieces, is_frozen=is_frozen)


class _Counter:
    def __init__(self, total: int, report: Reporter) -> None:
        self._total, self._report, self._done, self._lock = total, report, 0, Lock()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._done += size_bytes
            self._report(Progress(self._done, self._total, "bytes"))
