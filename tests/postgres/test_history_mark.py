"""Marks in a server's history."""

from __future__ import annotations

import time

import psycopg
import pytest

from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.history_mark import has_mark, leave_mark
from permafrost.postgres.identity import read_identity, wait_until_flushed
from permafrost.postgres.programs.scratch import ScratchCluster


def test_a_mark_is_found_again(database: str) -> None:
    """A mark is found at once and after other transactions; with one transaction's end swapped it is not."""
    with connected(database) as connection:
        mark = leave_mark(connection)
        assert mark is not None
        assert len(mark["committed"]) + len(mark["aborted"]) == 41
        assert has_mark(connection, mark)
        connection.execute("SELECT pg_current_xact_id()")
        assert has_mark(connection, mark)
        first, *others = mark["committed"]
        assert not has_mark(connection, {"committed": others, "aborted": [*mark["aborted"], first]})


def test_numbers_that_are_not_given_yet(database: str) -> None:
    """A mark of a history that has gone further is not found, and asking leaves the transaction usable."""
    with connected(database) as connection:
        mark = leave_mark(connection)
        assert mark is not None
        later = {end: [number + (1 << 20) for number in numbers] for end, numbers in mark.items()}
        connection.execute("BEGIN")
        assert not has_mark(connection, later)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_reader_leaves_a_mark_that_flushes(cluster: ScratchCluster, database: str) -> None:
    """A role that may only read leaves a mark, and everything that was written before it is on the disk then."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS marker")
        admin.execute("CREATE ROLE marker LOGIN IN ROLE pg_read_all_data")
    reader = conninfo_for(database, user="marker", options="-c default_transaction_read_only=on")

    def no_pause(_: float) -> None:
        raise AssertionError("it still had to wait")

    with connected(database) as busy, connected(database) as connection, connected(reader) as marker:
        busy.execute("CREATE TABLE public.t (n int)")
        busy.execute("BEGIN")
        busy.execute("INSERT INTO public.t SELECT generate_series(1, 10)")
        lsn = read_identity(connection).lsn
        marker.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")  # as the holder of a snapshot
        marker.execute("SELECT 1")
        assert leave_mark(marker) is not None
        wait_until_flushed(connection, lsn, time.monotonic(), pause=no_pause)
        busy.execute("ROLLBACK")
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("DROP ROLE marker")


def test_a_server_that_takes_no_mark(database: str) -> None:
    """A server that cannot be asked has no mark, and that is no error."""
    with connected(database) as connection:
        connection.close()
        assert leave_mark(connection) is None


@pytest.mark.usefixtures("newer_cluster")
def test_on_newer_servers(newer_database: str) -> None:
    """Identity and mark are read from newer servers as well."""
    with connected(newer_database) as connection:
        mark = leave_mark(connection)
        assert mark is not None
        assert has_mark(connection, mark)
        assert read_identity(connection).timeline == 1
