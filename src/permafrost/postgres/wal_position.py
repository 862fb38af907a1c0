"""Positions that tie WAL to transaction numbers: every transaction numbered N or higher writes its records after L.

What a snapshot with the lowest running number X does not see was done by transactions numbered X or higher. So a
position with N <= X says where in the WAL all of it must be (docs/engine.md, "Only what has changed").

The highest number that a snapshot has seen is not enough: higher ones may be running, and have written already. N must
be a number that nobody had been given yet when L was read.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import pq

from permafrost.postgres.connection import database_errors, server_major
from permafrost.postgres.version import SUMMARIZING_MAJOR

_NUMBERS = 1 << 32


@dataclass(frozen=True, slots=True)
class WalPosition:
    """Every transaction numbered `next_xid` (64 bits wide) or higher writes its records at `lsn` or later."""

    lsn: int
    next_xid: int


def read_positions(connection: psycopg.Connection) -> tuple[WalPosition, ...]:
    """Return the positions of now and of the last checkpoint.

    There are none on a standby, before PostgreSQL 17, which has no use for them, and where the server refuses to tell:
    then every row is scanned. The connection must not be in a transaction: there the server would answer with an older
    next number.
    """
    assert connection.info.transaction_status == pq.TransactionStatus.IDLE  # noqa: S101 - or a number may be too low
    if server_major(connection) < SUMMARIZING_MAJOR:
        return ()
    # first the position, then, in another statement, the number: the other way round a transaction might be given the
    # number, and write, in between
    with database_errors("cannot read the position in the server's WAL"):
        try:
            here = connection.execute(
                "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn() - '0/0'::pg_lsn END"
            ).fetchone()
            # without a number of its own, age() counts from the next one (src/backend/access/transam/varsup.c); the
            # control file's next number was read after the checkpoint's redo point was fixed (xlog.c, CreateCheckPoint)
            row = connection.execute(
                """SELECT age('3'::xid)::int8 + 3, pg_snapshot_xmax(pg_current_snapshot())::text::int8,
                    redo_lsn - '0/0'::pg_lsn, next_xid FROM pg_control_checkpoint()"""
            ).fetchone()
        except psycopg.errors.InsufficientPrivilege:  # a hosting provider may have taken the functions from everyone
            return ()
    if here is None or here[0] is None or row is None:
        return ()
    next_xid, completed, redo, checkpoint_xid = row
    epoch, number = str(checkpoint_xid).split(":")
    return (
        WalPosition(int(here[0]), widened(next_xid, completed)),
        WalPosition(int(redo), int(epoch) * _NUMBERS + int(number)),
    )


def widened(number: int, earlier: int) -> int:
    """Return a transaction number of 32 bits, modulo 2^32, as one of 64 bits that is not before `earlier`."""
    return earlier + (number - earlier) % _NUMBERS


def lowest_running(connection: psycopg.Connection) -> int:
    """Return the number below which the transaction's snapshot sees every transaction as ended, 64 bits wide."""
    with database_errors("cannot read the snapshot's transaction numbers"):
        row = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return int(row[0])
