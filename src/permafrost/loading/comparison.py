"""Examines a database during and after loading: its indexes, its statistics, and whether it matches the snapshot."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import psycopg

from permafrost.errors import DifferentRestoreError
from permafrost.events import Progress, Reporter, Unit, Warned
from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.connection import connected
from permafrost.postgres.digest import TableContents, count_rows, digest_rows
from permafrost.postgres.workers import Task, Workers
from permafrost.repository.manifest import Manifest, Table

_MOST_TOLD = 10


class Tally:
    """Reports how many of `total` tasks are done, from any thread."""

    def __init__(self, total: int, unit: Unit, report: Reporter) -> None:
        self._total, self._unit, self._report = total, unit, report
        self._done, self._lock = 0, threading.Lock()

    def after(self, task: Task) -> Task:
        """Return the task with its end reported."""

        def counted(connection: psycopg.Connection) -> None:
            task(connection)
            with self._lock:
                self._done += 1
                self._report(Progress(self._done, self._total, self._unit))

        return counted


def compare(conninfo: str, manifest: Manifest, jobs: int, report: Reporter) -> int:
    """Count every table's rows (and digest them if the snapshot is audited), and return how many there are.

    A warning names tables whose generated columns alone differ: they were computed again. Raise `DifferentRestoreError`
    if a table is missing, added, or differs.
    """
    rows, wrong = differences(conninfo, manifest, {}, jobs, report)
    if wrong:
        more = f"; and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise DifferentRestoreError(
            f"the restored database differs from the snapshot: {'; '.join(wrong[:_MOST_TOLD])}{more}",
            hint="restore another snapshot, and please report this; it is the most serious problem permafrost can "
            "detect",
        )
    return rows


def differences(
    conninfo: str, manifest: Manifest, refused: Mapping[TableName, int], jobs: int, report: Reporter
) -> tuple[int, list[str]]:
    """Return how many rows there are, and in words each table that is missing, added, or differs.

    Of a table with `refused` rows, that many fewer are expected, and no digest is compared.
    """
    expected = {
        TableName(table.schema_name, table.name): _without(table, refused.get(TableName(table.schema_name, table.name)))
        for table in manifest.tables
    }
    with connected(conninfo) as connection:
        there = set(list_tables(connection))
    wrong = [f"{table} is missing" for table in sorted(expected.keys() - there - refused.keys())]
    wrong += [f"{table} exists, and should not" for table in sorted(there - expected.keys())]
    common = sorted(expected.keys() & there, key=lambda name: (-expected[name].rows, name))
    done = Tally(len(common), "tables", report)
    found: dict[TableName, int] = {}
    recomputed: list[TableName] = []

    def task(name: TableName) -> Task:
        def work(connection: psycopg.Connection) -> None:
            contents = (digest_rows if expected[name].digest is not None else count_rows)(connection, name)
            found[name] = contents.rows
            if difference := _difference(contents, expected[name]):
                wrong.append(difference)
            elif contents.digest != expected[name].digest:
                recomputed.append(name)

        return done.after(work)

    with Workers(lambda: connected(conninfo), jobs) as workers:
        workers.do_all([task(name) for name in common])
    if recomputed:
        report(Warned(_recomputed(sorted(recomputed))))
    return sum(found.values()), wrong


def _without(table: Table, refused: int | None) -> Table:
    return table if refused is None else table.model_copy(update={"rows": table.rows - refused, "digest": None})


def _recomputed(names: Sequence[TableName]) -> str:
    return (
        f"generated columns of {', '.join(map(str, names))} have other values than in the snapshot: PostgreSQL "
        "computes them again when rows are loaded, and their function, dictionary or collation has changed since the "
        "rows were written; every other column is equal"
    )


def _difference(found: TableContents, expected: Table) -> str:
    """Return how a table differs from what is expected, "" if it does not, or in its generated columns only."""
    name = found.table
    if found.rows != expected.rows:
        return f"{name} has {found.rows} rows instead of {expected.rows}"
    if found.digest == expected.digest:
        return ""
    plain = expected.digest_without_generated
    if plain is not None and found.digest_without_generated == plain:
        return ""
    if plain is None and found.digest_without_generated is not None:
        return f"{name} has rows that differ, if only in generated columns cannot be known of a snapshot this old"
    return f"{name} has rows that differ"
