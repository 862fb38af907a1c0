"""When a server's history goes on, and when row versions that were known can no longer be trusted."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.identity import MAXIMUM_AGE, ServerIdentity, push_wal, read_identity, wait_until_flushed
from permafrost.postgres.scratch import ScratchCluster

EARLIER = ServerIdentity(
    system_identifier=7_000_000_000_000_000_001,
    timeline=1,
    database_oid=16384,
    block_size=8192,
    major=15,
    next_xid=5_000_000_000,
    lsn=1 << 40,
)


def test_history_goes_on() -> None:
    """More transactions and more WAL are the same history; so is nothing at all."""
    assert EARLIER.continues(EARLIER)
    assert replace(EARLIER, next_xid=EARLIER.next_xid + MAXIMUM_AGE - 1, lsn=EARLIER.lsn + 1).continues(EARLIER)


@pytest.mark.parametrize(
    "change",
    [
        {"system_identifier": 7},
        {"timeline": 2},
        {"database_oid": 5},
        {"block_size": 4096},
        {"major": 16},
        {"lsn": EARLIER.lsn - 1},
        {"next_xid": EARLIER.next_xid - 1},
        {"next_xid": EARLIER.next_xid + MAXIMUM_AGE},
    ],
)
def test_history_does_not_go_on(change: dict[str, int]) -> None:
    """Another system, timeline, database or version, a WAL position or transaction number that went backwards, or
    half of all transaction numbers used since: nothing that was known counts."""
    assert not replace(EARLIER, **change).continues(EARLIER)


def test_a_real_server_goes_on(cluster: ScratchCluster) -> None:
    """Two looks at a running server are one history, and its database is told from another."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        first = read_identity(connection)
        connection.execute("SELECT pg_current_xact_id()")
        second = read_identity(connection)
    with psycopg.connect(cluster.conninfo("template1"), autocommit=True) as connection:
        other = read_identity(connection)
    assert second.continues(first)
    assert not other.continues(first)
    assert second.next_xid > first.next_xid


def test_waiting_for_the_flush_ends(cluster: ScratchCluster) -> None:
    """A position that is flushed is not waited for; one that never comes is waited for as long as the manual says
    that a commit can stay unflushed, and no longer."""
    now = [100.0]
    pauses: list[float] = []

    def pause(duration_s: float) -> None:
        pauses.append(duration_s)
        now[0] += duration_s

    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        wait_until_flushed(connection, 0, 100.0, lambda: None, lambda: now[0], pause)
        assert pauses == []
        wait_until_flushed(connection, 1 << 62, 100.0, lambda: None, lambda: now[0], pause)
    assert 0.6 <= now[0] - 100.0 <= 0.9  # wal_writer_delay is 200 ms


def test_an_idle_server_is_pushed(cluster: ScratchCluster, database: str) -> None:
    """What no commit hurries for is on the disk at once after one push; a role that may only read can push."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS pusher")
        admin.execute("CREATE ROLE pusher LOGIN IN ROLE pg_read_all_data")
    reader = conninfo_for(database, user="pusher", options="-c default_transaction_read_only=on")
    pushes = 0

    def push() -> None:
        nonlocal pushes
        pushes += 1
        push_wal(reader)

    def no_pause(_: float) -> None:
        raise AssertionError("it still had to wait")

    with connected(database) as busy, connected(database) as connection:
        busy.execute("CREATE TABLE public.t (n int)")
        busy.execute("BEGIN")
        busy.execute("INSERT INTO public.t SELECT generate_series(1, 10)")
        lsn = read_identity(connection).lsn
        wait_until_flushed(connection, lsn, time.monotonic(), push, pause=no_pause)
        busy.execute("ROLLBACK")
    assert pushes <= 1
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("DROP ROLE pusher")


def test_a_server_that_cannot_be_pushed(tmp_path: Path) -> None:
    """A push that fails is no error: waiting does it too."""
    push_wal(f"host={tmp_path} dbname=nowhere")
