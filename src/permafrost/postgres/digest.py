"""Row counts and order-free digests of tables, computed by PostgreSQL.

A digest is the sum, as numeric, of the first 64 bits of md5 over each row's text, the row being written with its
columns in order of name: equal for equal rows whatever their order in the heap or in the table's definition, and
the same on PostgreSQL 14 to 18. It finds accidents; it is no defence against someone who can choose the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import database_errors


@dataclass(frozen=True, slots=True)
class TableContents:
    """How many rows a table has, and their digest if one was asked for (decimal).

    `digest_without_generated` is that of the columns that are stored as they were given, None if all are.
    """

    table: TableName
    rows: int
    digest: str | None = None
    digest_without_generated: str | None = None


def count_rows(connection: psycopg.Connection, table: TableName) -> TableContents:
    """Return the table's own row count, without its children's, under the connection's snapshot."""
    with database_errors(f"cannot count the rows of {table}"):
        query = sql.SQL("SELECT count(*) FROM ONLY {}").format(table.identifier())
        row = connection.execute(query).fetchone()
    return TableContents(table, int(row[0]) if row else 0)


def digest_rows(connection: psycopg.Connection, table: TableName) -> TableContents:
    """Return the table's own row count and digest, by a full read under the connection's snapshot."""
    with database_errors(f"cannot read the rows of {table}"):
        # format(%L) with regclass keeps odd names whole; dropped columns are no columns
        columns = connection.execute(
            """SELECT attname, attgenerated <> '' FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %s AND c.relname = %s AND attnum > 0 AND NOT attisdropped
            ORDER BY attname COLLATE "C" """,
            (table.schema, table.name),
        ).fetchall()
        plain = [name for name, is_generated in columns if not is_generated]
        sums = [_sum([name for name, _ in columns])]
        if len(plain) < len(columns):
            sums.append(_sum(plain))
        query = sql.SQL("SELECT count(*), {} FROM ONLY {} AS t")
        row = connection.execute(query.format(sql.SQL(", ").join(sums), table.identifier())).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return TableContents(table, int(row[0]), str(row[1]), str(row[2]) if len(sums) > 1 else None)


def _sum(columns: Sequence[str]) -> sql.Composed:
    """Return SQL for the digest of these columns of `t`."""
    fields = sql.SQL(", ").join(sql.Identifier("t", name) for name in columns)
    return sql.SQL("coalesce(sum(('x' || left(md5(ROW({})::text), 16))::bit(64)::bigint::numeric), 0)::text").format(
        fields
    )
