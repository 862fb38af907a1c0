"""Reads a database under examination: read-only, and without indexes, which may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from permafrost.postgres.connection import database_errors
from permafrost.postgres.integrity.rules import without_indexes

SCHEMA = "public"


@contextmanager
def reading(connection: psycopg.Connection) -> Iterator[None]:
    """Run the block in a read-only transaction whose queries read tables, never an index, and see one moment."""
    with database_errors("cannot examine the database"), without_indexes(connection):
        connection.execute(f"SET LOCAL search_path = {SCHEMA}")
        yield


def columns_of(connection: psycopg.Connection, table: str) -> frozenset[str]:
    """Return the names of a table's columns, none if there is no such table in the schema `public`."""
    rows = connection.execute(
        """SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped""",
        (SCHEMA, table),
    ).fetchall()
    return frozenset(row[0] for row in rows)
