"""One moment of the database, exported and held open, so that every program and connection sees the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from permafrost.postgres.connection import connected, database_errors

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@contextmanager
def exported_snapshot(conninfo: str) -> Iterator[tuple[psycopg.Connection, str]]:
    """Yield a connection inside a transaction, and the name under which others can import its snapshot.

    The snapshot lasts as long as the block. PostgreSQL's manual, "Snapshot Synchronization Functions".
    """
    with connected(conninfo) as connection:
        with database_errors("cannot export a snapshot"):
            connection.execute(_BEGIN)
            row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        yield connection, str(row[0])


@contextmanager
def imported_snapshot(conninfo: str, snapshot: str) -> Iterator[psycopg.Connection]:
    """Yield a connection inside a transaction that sees what the exporter of `snapshot` sees."""
    with connected(conninfo) as connection:
        with database_errors("cannot import the snapshot"):
            connection.execute(_BEGIN)
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        yield connection
