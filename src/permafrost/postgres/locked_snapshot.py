"""A snapshot of the database in which every logged table is locked since before the snapshot was taken.

Locks come first. TRUNCATE, CLUSTER, VACUUM FULL and a rewriting ALTER TABLE are not MVCC-safe (manual, "Caveats" of
"Concurrency Control"): if one committed between snapshot and lock, the snapshot would see an empty table in a new
file. LOCK TABLE takes no snapshot, so a REPEATABLE READ transaction can lock and then look.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from permafrost.errors import DatabaseError
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import LockConflictError, connected, database_errors
from permafrost.postgres.error_text import error_text
from permafrost.postgres.left_out import NOTHING, LeftOut
from permafrost.postgres.loggable_tables import candidate_tables, check_readable, lock_tables
from permafrost.postgres.wal_position import WalPosition, read_positions

LOCK_TIMEOUT_MS = 60_000
HELD_LOCK_TIMEOUT_MS = 3_000
"""For others of the same run, once the snapshot's holder has its locks: whoever then makes them wait is itself waiting
for the holder, so waiting is in vain, and holds up a migration."""
_ATTEMPTS = 10
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True, slots=True)
class LockedSnapshot:
    """An exported snapshot: the connection that holds it, its name, the tables locked, and when it was taken.

    `taken_at` is time.monotonic's. `positions` were read before the snapshot was taken.
    """

    connection: psycopg.Connection
    name: str
    tables: Mapping[int, TableName]
    taken_at: float
    positions: tuple[WalPosition, ...]
    left_out: LeftOut = NOTHING


@contextmanager
def locked_snapshot(
    conninfo: str, lock_timeout_ms: int = LOCK_TIMEOUT_MS, left_out: LeftOut = NOTHING
) -> Iterator[LockedSnapshot]:
    """Yield a snapshot that lasts as long as the block, in which nothing of what is `left_out` is locked.

    Raise `DatabaseError` if a lock cannot be had within `lock_timeout_ms`, or tables come and go faster than they
    can be locked.
    """
    with connected(conninfo) as connection:
        for _ in range(_ATTEMPTS):
            snapshot = _attempt(connection, lock_timeout_ms, left_out)
            if snapshot is not None:
                yield snapshot
                return
            connection.execute("ROLLBACK")
        raise DatabaseError(
            "tables are created and dropped so fast that they cannot be locked together",
            hint="wait until the migration that does this has finished",
        )


def _attempt(connection: psycopg.Connection, lock_timeout_ms: int, left_out: LeftOut) -> LockedSnapshot | None:
    """Lock what is there and take a snapshot; None if something changed in between."""
    positions = read_positions(connection)
    listed = left_out.kept(candidate_tables(connection))  # in a transaction of its own
    check_readable(connection, listed)
    connection.execute(_BEGIN)
    try:
        lock_tables(connection, list(listed.values()), lock_timeout_ms)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None  # dropped or renamed since it was listed
    except psycopg.errors.LockNotAvailable as error:
        raise lock_error(error) from error
    except psycopg.errors.WrongObjectType:
        return None  # a view has taken its name since
    with database_errors("cannot export a snapshot"):
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    if left_out.kept(candidate_tables(connection)) != listed:
        return None  # one was made, renamed or swapped since it was listed
    return LockedSnapshot(connection, str(row[0]), listed, time.monotonic(), positions, left_out)


def lock_error(error: psycopg.Error) -> LockConflictError:
    """Return the error for a lock that was not to be had in time."""
    return LockConflictError(
        f"a table could not be locked for reading in time: {error_text(error)}",
        hint="another session holds or wants an exclusive lock on it (a migration?); run the backup again when it has "
        "finished",
    )
