"""When a server's history goes on, and when row versions that were known can no longer be trusted."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from permafrost.postgres.identity import MAXIMUM_AGE, ServerIdentity, read_identity, wait_until_flushed
from permafrost.postgres.programs.scratch import ScratchCluster

EARLIER = ServerIdentity(
    system_identifier=7_000_000_000_000_000_001,
    timeline=1,
    started_at=1_700_000_000_000_000,
    database_oid=16384,
    block_size=8192,
    major=15,
    next_xid=5_000_000_000,
    lsn=1 << 40,
)


def test_history_goes_on() -> None:
    """More transactions and more WAL may be the same history; so may nothing at all, and a standby."""
    assert EARLIER.may_continue(EARLIER)
    assert replace(EARLIER, timeline=None).may_continue(EARLIER)
    assert replace(EARLIER, started_at=EARLIER.started_at + 1).may_continue(EARLIER)
    assert replace(EARLIER, next_xid=EARLIER.next_xid + MAXIMUM_AGE - 1, lsn=EARLIER.lsn + 1).may_continue(EARLIER)


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
    assert not replace(EARLIER, **change).may_continue(EARLIER)


def test_a_real_server_goes_on(cluster: ScratchCluster) -> None:
    """Two looks at a running server are one history, and its database is told from another."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        first = read_identity(connection)
        connection.execute("SELECT pg_current_xact_id()")
        second = read_identity(connection)
    with psycopg.connect(cluster.conninfo("template1"), autocommit=True) as connection:
        other = read_identity(connection)
    assert second.may_continue(first)
    assert not other.may_continue(first)
    assert second.is_same_life(first)
    assert second.timeline == 1
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
        wait_until_flushed(connection, 0, 100.0, lambda: now[0], pause)
        assert pauses == []
        wait_until_flushed(connection, 1 << 62, 100.0, lambda: now[0], pause)
    assert 0.6 <= now[0] - 100.0 <= 0.9  # wal_writer_delay is 200 ms
