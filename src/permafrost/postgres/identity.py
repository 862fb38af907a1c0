"""What names a server's history, and whether a snapshot lies further along the history that the log has seen.

A row version's name (file, place, transaction) is given once in a history, and may be given to another row in another
one. So a run resumes only where it can prove that everything the last run saw is in this server's past:

1. The same system, database, block size and major version: files and names are the same kind of thing.
2. The same timeline: the one that WAL is being written in. The control file's lags behind it after a promotion, until
   the first checkpoint, and is not used. A standby shows nobody without special rights what it replays, so it has none.
3. WAL position and transaction number have not gone backwards, and fewer than half of all numbers were used since.
4. The mark that the last run left in the history (`history_mark`) is in this one. It detects what a timeline does not:
   an older disk image or base backup started without recovery, a second timeline with the same number.
5. Where no mark could be left (on a standby), the server has not been started since: one server in one life follows
   one history, whatever it replays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from permafrost.postgres.connection import database_errors, server_major

MAXIMUM_AGE = 1 << 31
"""xmin is 32 bits wide; after this many transactions a number may come again."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Where in which server's history a snapshot lies.

    `timeline` is None on a standby, `started_at` the server's start in microseconds since 1970. `next_xid` is 64 bits
    wide, `lsn` a byte position in the WAL.
    """

    system_identifier: int
    timeline: int | None
    started_at: int
    database_oid: int
    block_size: int
    major: int
    next_xid: int
    lsn: int

    def may_continue(self, earlier: ServerIdentity) -> bool:
        """Return whether nothing speaks against this being a later moment of the same history; no proof that it is."""
        same = (self.system_identifier, self.database_oid, self.block_size, self.major)
        before = (earlier.system_identifier, earlier.database_oid, earlier.block_size, earlier.major)
        if None not in (self.timeline, earlier.timeline) and self.timeline != earlier.timeline:
            return False
        return same == before and self.lsn >= earlier.lsn and 0 <= self.next_xid - earlier.next_xid < MAXIMUM_AGE

    def is_same_life(self, earlier: ServerIdentity) -> bool:
        """Return whether the server has not been started since `earlier`."""
        return self.system_identifier == earlier.system_identifier and self.started_at == earlier.started_at


def read_identity(connection: psycopg.Connection) -> ServerIdentity:
    """Return the server's identity, within the transaction whose snapshot is meant."""
    with database_errors("cannot read the server's identity"):
        row = connection.execute(
            """SELECT system_identifier,
                CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END,
                (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8,
                (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
                current_setting('block_size')::int8, pg_snapshot_xmax(pg_current_snapshot())::text::int8,
                CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
                    - '0/0'::pg_lsn
            FROM pg_control_system()"""
        ).fetchone()
    assert row is not None  # noqa: S101 - the function gives one row
    return ServerIdentity(
        system_identifier=int(row[0]),
        timeline=int(row[1], 16) if row[1] is not None else None,
        started_at=int(row[2]),
        database_oid=int(row[3]),
        block_size=int(row[4]),
        major=server_major(connection),
        next_xid=int(row[5]),
        lsn=int(row[6]),
    )


def wait_until_flushed(
    connection: psycopg.Connection,
    lsn: int,
    taken_at: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return once everything that the snapshot could see would survive a crash of the server.

    With synchronous_commit off a commit can be visible and still be lost, and its transaction number used again at
    the same place. The WAL up to `lsn` (its insert position when the snapshot was taken, at `taken_at` of `clock`)
    contains every such commit, and the mark of a run (`history_mark`) has flushed it already. Where none could be left,
    the manual's bound counts: such a commit is on disk after three times wal_writer_delay ("Asynchronous Commit"); one
    more is added here. On a standby there is nothing to wait for.
    """
    with database_errors("cannot read the WAL's position"):
        row = connection.execute(
            "SELECT pg_is_in_recovery(), extract(epoch FROM current_setting('wal_writer_delay')::interval)::float8"
        ).fetchone()
        if row is None or row[0]:
            return
        deadline = taken_at + 4 * row[1]
        while clock() < deadline:
            flushed = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchone()
            if flushed is not None and int(flushed[0]) >= lsn:
                return
            pause(0.02)
