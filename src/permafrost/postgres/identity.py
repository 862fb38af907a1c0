"""What tells whether a server's heap files are still those that the log has seen, and whether they will stay.

A row version's name is only good as long as nobody winds the server back: another system, another timeline, a WAL
position that went backwards, or half of all transaction numbers used since, and everything is read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from permafrost.errors import DatabaseError
from permafrost.postgres.connection import connected, database_errors, server_major

MAXIMUM_AGE = 1 << 31
"""xmin is 32 bits wide; after this many transactions a number may come again."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Where in which server's history a snapshot lies. `next_xid` is 64 bits wide, `lsn` a byte position in the WAL."""

    system_identifier: int
    timeline: int
    database_oid: int
    block_size: int
    major: int
    next_xid: int
    lsn: int

    def continues(self, earlier: ServerIdentity) -> bool:
        """Return whether row versions named at `earlier` still have the same names now."""
        same = (self.system_identifier, self.timeline, self.database_oid, self.block_size, self.major)
        before = (earlier.system_identifier, earlier.timeline, earlier.database_oid, earlier.block_size, earlier.major)
        return same == before and self.lsn >= earlier.lsn and 0 <= self.next_xid - earlier.next_xid < MAXIMUM_AGE


def read_identity(connection: psycopg.Connection) -> ServerIdentity:
    """Return the server's identity, within the transaction whose snapshot is meant."""
    with database_errors("cannot read the server's identity"):
        row = connection.execute(
            """SELECT s.system_identifier, c.timeline_id,
                (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
                current_setting('block_size')::int8, pg_snapshot_xmax(pg_current_snapshot())::text::int8,
                CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
                    - '0/0'::pg_lsn
            FROM pg_control_system() s, pg_control_checkpoint() c"""
        ).fetchone()
    assert row is not None  # noqa: S101 - both functions give one row
    return ServerIdentity(
        system_identifier=int(row[0]),
        timeline=int(row[1]),
        database_oid=int(row[2]),
        block_size=int(row[3]),
        major=server_major(connection),
        next_xid=int(row[4]),
        lsn=int(row[5]),
    )


def wait_until_flushed(
    connection: psycopg.Connection,
    lsn: int,
    taken_at: float,
    push: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return once everything that the snapshot could see would survive a crash of the server.

    With synchronous_commit off a commit can be visible and still be lost, and its transaction number used again at
    the same place. The WAL up to `lsn` (its insert position when the snapshot was taken, at `taken_at` of `clock`)
    contains every such commit. What is no commit may stay unflushed on an idle server for long: `push` (`push_wal`) is
    called if it is. The manual's bound also counts: such a commit is on disk after three times wal_writer_delay
    ("Asynchronous Commit"); one more is added here. On a standby there is nothing to wait for.
    """
    is_pushed = False
    with database_errors("cannot read the WAL's position"):
        row = connection.execute(
            """SELECT pg_is_in_recovery(),
                (SELECT setting::float8 FROM pg_settings WHERE name = 'wal_writer_delay') / 1000"""
        ).fetchone()
        if row is None or row[0]:
            return
        deadline = taken_at + 4 * row[1]
        while clock() < deadline:
            flushed = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchone()
            if flushed is not None and int(flushed[0]) >= lsn:
                return
            if not is_pushed:
                push()
                is_pushed = True
                continue
            pause(0.02)


def push_wal(conninfo: str) -> None:
    """Make the server write its WAL to the disk up to here, if it lets us; nothing is raised if it does not.

    By a commit of our own, of an empty message to logical decoding (manual, "Generic Message Functions": it asks for no
    privilege), which waits for the local disk. It is some hundred bytes of WAL and a transaction number, and saves an
    hour's run on an idle server 0.8 seconds of waiting for a background writer that has no commit to hurry for.
    """
    with suppress(DatabaseError), connected(conninfo) as connection, database_errors("cannot flush the WAL"):
        connection.execute("BEGIN READ WRITE")
        connection.execute("SET LOCAL synchronous_commit = local")
        connection.execute("SELECT pg_logical_emit_message(true, 'permafrost', '')")
        connection.execute("COMMIT")
