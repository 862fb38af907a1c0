"""Scanning only changed blocks: histories that lose rows if a rule is broken, each with the rule and without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import LiteralString, cast

import psycopg
import pytest

from permafrost.engines import scan_scope
from permafrost.engines.contents import OPEN_TRANSACTION
from permafrost.postgres import locked_snapshot, wal_position, wal_summaries
from permafrost.postgres.loggable_tables import LoggedTable, describe_tables
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.postgres.wal_position import WalPosition
from permafrost.segments import scan_start, worker
from permafrost.segments.changed_pages import FilePages
from permafrost.segments.scan_start import ScanStart
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.segments import logged_runs
from tests.segments.logged_runs import use_small_segments
from tests.segments.summarized_history import History, wait_for_snapshots_to_end

SETTINGS = {"autovacuum": "off", "summarize_wal": "on", "max_prepared_transactions": "5"}


@pytest.fixture(scope="module", params=NEWER_MAJORS)
def summarizing(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[ScratchCluster]:
    """A server that summarizes its WAL."""
    folder = server_folder / f"blocks-{request.param}"
    with ScratchCluster(folder, binaries=binaries_or_skip(request.param), settings=SETTINGS) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE blocks")
            connection.execute("CHECKPOINT")  # a summary that tells of a new database is not relied on
        yield cluster


@pytest.fixture
def history(summarizing: ScratchCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    """A database with a table of some pages, and a log that knows nothing yet."""
    use_small_segments(monkeypatch)
    with ExitStack() as stack:
        yield History(summarizing, tmp_path / "state", stack)


def written_before_the_last_run(history: History) -> bool:
    """A transaction writes before a run, and commits after it."""
    history.session.execute("UPDATE t SET text = 'seen' WHERE id = 3")
    other = history.connect()
    other.execute("BEGIN")
    other.execute("UPDATE t SET text = 'late' WHERE id = 200")
    history.session.execute("CHECKPOINT")
    history.runs.run()
    other.execute("COMMIT")
    return bool(history.runs.run().wrong)


def highest_number_running(history: History) -> bool:
    """The highest number of all is given and has written before a run, which is the next one's only position.

    The highest number that has ended is then lower, though later numbers have written.
    """
    history.session.execute("UPDATE t SET text = 'seen' WHERE id = 3")
    other = history.connect()
    other.execute("BEGIN")
    other.execute("UPDATE t SET text = 'late' WHERE id = 200")
    history.session.execute("CHECKPOINT")
    history.runs.run()
    other.execute("COMMIT")
    return bool(history.runs.run().wrong)


def written_between_two_questions(history: History) -> bool:
    """A transaction is given its number, and writes, while a run reads a position and the next number."""
    history.session.execute("UPDATE t SET text = 'seen' WHERE id = 3")
    other = history.connect()

    def write() -> None:
        other.execute("BEGIN")
        other.execute("UPDATE t SET text = 'late' WHERE id = 200")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(locked_snapshot, "read_positions", partial(read_positions_and, write))
        history.runs.run()
    other.execute("COMMIT")
    return bool(history.runs.run().wrong)


class Interrupted:
    """A connection on which something else happens between its first statement and its second."""

    def __init__(self, connection: psycopg.Connection, happens: Callable[[], None]) -> None:
        self.info = connection.info
        self._connection = connection
        self._happens: Callable[[], None] | None = happens

    def execute(self, query: LiteralString) -> psycopg.Cursor:
        """Do the same, and then, once, what happens."""
        cursor = self._connection.execute(query)
        if self._happens is not None:
            self._happens()
            self._happens = None
        return cursor


def read_positions_and(happens: Callable[[], None], connection: psycopg.Connection) -> tuple[WalPosition, ...]:
    """Read positions while something happens."""
    return wal_position.read_positions(cast("psycopg.Connection", Interrupted(connection, happens)))


def cut_in_one_cycle(history: History) -> bool:
    """Rows at the file's end are deleted and the file is cut and filled again, all in one checkpoint cycle."""
    history.session.execute("VACUUM FREEZE t")  # or the second one would list the pages before the cut
    history.session.execute("CHECKPOINT")
    history.session.execute("UPDATE t SET text = 'seen' WHERE id = 3")
    assert not history.runs.run().wrong
    history.session.execute("DELETE FROM t WHERE ctid >= '(10,0)'")
    wait_for_snapshots_to_end(history)
    history.session.execute("VACUUM (TRUNCATE ON) t")
    history.session.execute("CHECKPOINT")
    return bool(history.runs.run().wrong)


def unlogged_table(history: History) -> bool:
    """An unlogged table is changed, which no WAL tells."""
    history.session.execute("CREATE UNLOGGED TABLE u (id int); INSERT INTO u SELECT generate_series(1, 500)")
    history.runs.run()
    history.session.execute("UPDATE u SET id = 0 WHERE id = 1; UPDATE t SET text = 'x' WHERE id = 3")
    return bool(history.runs.run().wrong)


def summaries_removed(history: History) -> bool:
    """Summaries are removed before a run has read them."""
    history.session.execute("UPDATE t SET text = 'unseen' WHERE id = 200")
    history.session.execute("CHECKPOINT")
    wait_for_summary(history)
    for file in (history.cluster.data_folder / "pg_wal" / "summaries").glob("*.summary"):
        file.unlink()
    history.session.execute("INSERT INTO t VALUES (999, 'seen')")  # an UPDATE would prune the page of the other row
    return bool(history.runs.run().wrong)


def changed_just_now(history: History) -> bool:
    """A row changes right before a run, after the last checkpoint."""
    history.session.execute("UPDATE t SET text = 'now' WHERE id = 300")
    return bool(history.runs.run().wrong)


def changed_once_then_idle(history: History) -> bool:
    """One transaction after the last run changes a row."""
    history.session.execute("UPDATE t SET text = 'once' WHERE id = 300")
    return bool(history.runs.run().wrong)


def wait_for_summary(history: History) -> None:
    """Return once the summaries reach the WAL's end as of now."""
    row = history.session.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    wal_summaries.summarize_until(history.connect(), int(row[0]))


def changes_on_page_after_page(history: History) -> bool:
    """Run after run a row changes on another page, until a delta takes the place of those before it."""
    history.session.execute("CREATE TABLE m (id int, text text) WITH (fillfactor = 40)")
    history.session.execute("INSERT INTO m SELECT i, repeat('x', 300) FROM generate_series(1, 40) i")
    history.runs.run()
    wrong = False
    for number in range(12):  # the new version of a row is on its page, which has room for it
        history.session.execute("UPDATE m SET text = 'new' WHERE id = %s", (1 + 11 * number % 40,))
        outcome = history.runs.run()
        assert outcome.scope.files is not None, outcome.scope.reason
        wrong = wrong or bool(outcome.wrong)
    return wrong


def _first_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin at the last run's position, whatever was running."""
    monkeypatch.setattr(ScanStart, "lsn", lambda self: max(one.lsn for one in self.positions))


def _ended_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the highest number that has ended, plus one, for the next number."""
    monkeypatch.setattr(wal_position, "widened", lambda _, earlier: earlier)


def _number_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the next number first, and then where the WAL is."""

    def read(connection: psycopg.Connection) -> tuple[WalPosition, ...]:
        row = connection.execute("SELECT age('3'::xid)::int8 + 3").fetchone()
        here = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        assert here is not None
        return (WalPosition(int(here[0]), row[0]),)

    monkeypatch.setattr(wal_position, "read_positions", read)


def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no notice of files that were cut."""
    rightly = FilePages.of
    monkeypatch.setattr(FilePages, "of", lambda blocks, _: rightly(blocks, None))


def _unlogged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe that the WAL tells of every table."""
    monkeypatch.setattr(logged_runs, "describe_tables", _all_in_wal(describe_tables))


def _all_in_wal(describe: Callable[..., tuple[LoggedTable, ...]]) -> Callable[..., tuple[LoggedTable, ...]]:
    return lambda *arguments: tuple(replace(table, is_in_wal=True) for table in describe(*arguments))


def _gaps_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the summaries that there are."""
    monkeypatch.setattr(wal_summaries, "has_no_gap", lambda *_: True)


def _without_the_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ask for a checkpoint nor look whether the summaries reach the snapshot."""
    monkeypatch.setattr(scan_scope, "summarize_until", lambda *_: None)
    monkeypatch.setattr(wal_summaries, "has_no_gap", lambda *_: True)


def _always_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take as many numbers as a mark has for the mark."""
    monkeypatch.setattr(ScanStart, "is_idle_until", lambda self, next_xid: next_xid - (self.lowest_running or 0) <= 42)


@contextmanager
def _broken(rule: Callable[[pytest.MonkeyPatch], None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        rule(monkeypatch)
        yield


def _merged_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the rows on changed pages alone, also where a delta takes the place of others."""
    monkeypatch.setattr(worker, "is_merging", lambda *_: False)


CASES = [
    (written_before_the_last_run, _first_position),
    (highest_number_running, _ended_number),
    (written_between_two_questions, _number_first),
    (cut_in_one_cycle, _no_limits),
    (unlogged_table, _unlogged_too),
    (summaries_removed, _gaps_do_not_matter),
    (changed_just_now, _without_the_tail),
    (changed_once_then_idle, _always_idle),
    (changes_on_page_after_page, _merged_in_part),
]


@pytest.mark.parametrize(("happens", "mutation"), CASES)
def test_rule(history: History, happens: Callable[[History], bool], mutation: object) -> None:
    """With every rule as it is, the history costs no row."""
    del mutation
    history.settle()
    assert not happens(history)


@pytest.mark.parametrize(("happens", "mutation"), CASES)
def test_broken_rule(
    history: History, happens: Callable[[History], bool], mutation: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """With one rule broken the same history is stored wrongly: the rule is needed, and the test would notice."""
    history.settle()
    with _broken(mutation):
        assert happens(history)


def test_open_for_many_runs(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a transaction is open, also for more runs than positions are kept, runs scan only what has changed since it
    began; once summaries are gone they scan all, and say that it is the reason."""
    monkeypatch.setattr(scan_start, "_KEPT_POSITIONS", 10)
    history.settle()
    other = history.connect()
    other.execute("BEGIN")
    other.execute("UPDATE t SET text = 'late' WHERE id = 200")
    for number in range(12):
        history.session.execute("UPDATE t SET text = %s WHERE id = 3", (f"run {number}",))
        outcome = history.runs.run()
        assert outcome.scope.files is not None, outcome.scope.reason
        assert not outcome.wrong
    for file in (history.cluster.data_folder / "pg_wal" / "summaries").glob("*.summary"):
        file.unlink()
    history.session.execute("UPDATE t SET text = 'last' WHERE id = 3")
    outcome = history.runs.run()
    assert outcome.scope.reason == OPEN_TRANSACTION
    other.execute("COMMIT")
    history.session.execute("UPDATE t SET text = 'next' WHERE id = 4")
    outcome = history.runs.run()
    assert not outcome.wrong
    outcome = history.runs.run()
    assert outcome.scope.files is not None, outcome.scope.reason
    assert not outcome.wrong
