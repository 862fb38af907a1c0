"""The schema that Mastodon uses, and which columns a table has there."""

from __future__ import annotations

import psycopg

SCHEMA = "public"


def columns_of(connection: psycopg.Connection, table: str) -> frozenset[str]:
    """Return the names of a table's columns, none if there is no such table in the schema `public`."""
    rows = connection.execute(
        """SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped""",
        (SCHEMA, table),
    ).fetchall()
    return frozenset(row[0] for row in rows)
