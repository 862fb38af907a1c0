"""Foreign keys: every row refers to an existing one, although PostgreSQL believes a valid key.

Keys that were never checked (NOT VALID) or are not enforced (PostgreSQL 18) promise nothing. The keys of partitioned
tables are looked at as a whole, so that their copies for each partition are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName
from permafrost.postgres.integrity.rules import (
    MOST_SAMPLES,
    OWN_SCHEMAS,
    Outcome,
    Unexamined,
    Violation,
    for_psql,
    shown_text,
)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of a table that refer to columns of another, compared by these operators (theirs first).

    `only` and `other_only` are ONLY, or empty for a partitioned table, which has no rows of its own.
    """

    table: TableName
    only: str
    name: str
    columns: tuple[str, ...]
    other: TableName
    other_only: str
    other_columns: tuple[str, ...]
    operators: tuple[str, ...]
    is_full: bool
    has_period: bool


def list_foreign_keys(connection: psycopg.Connection) -> list[ForeignKey]:
    """Return every foreign key that claims to hold, of the database's own tables, in order of name."""
    is_new = connection.info.server_version >= 180000
    claims = "k.convalidated" + (" AND k.conenforced" if is_new else "")
    period = "k.conperiod" if is_new else "false"
    rows = connection.execute(
        f"""SELECT n.nspname, c.relname, CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY' END, k.conname,
            (SELECT array_agg(t.attname::text ORDER BY u.place)
                FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
                JOIN pg_attribute t ON t.attrelid = k.conrelid AND t.attnum = u.number),
            f.nspname, r.relname, CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY' END,
            (SELECT array_agg(t.attname::text ORDER BY u.place)
                FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
                JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = u.number),
            (SELECT array_agg('OPERATOR(' || quote_ident(m.nspname) || '.' || o.oprname || ')' ORDER BY u.place)
                FROM unnest(k.conpfeqop) WITH ORDINALITY AS u (oid, place) JOIN pg_operator o ON o.oid = u.oid
                JOIN pg_namespace m ON m.oid = o.oprnamespace),
            k.confmatchtype = 'f', {period}
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace f ON f.oid = r.relnamespace
        WHERE k.contype = 'f' AND k.conparentid = 0 AND {claims} AND c.relpersistence <> 't' AND {OWN_SCHEMAS}
        ORDER BY 1, 2, 4"""  # noqa: S608 - constants
    ).fetchall()
    return [
        ForeignKey(
            table=TableName(row[0], row[1]),
            only=row[2],
            name=row[3],
            columns=tuple(row[4]),
            other=TableName(row[5], row[6]),
            other_only=row[7],
            other_columns=tuple(row[8]),
            operators=tuple(row[9]),
            is_full=row[10],
            has_period=row[11],
        )
        for row in rows
    ]


def examine_foreign_key(connection: psycopg.Connection, key: ForeignKey) -> Outcome:
    """Return which values refer to nothing; within `without_indexes`."""
    if key.has_period:
        return Unexamined("foreign-key", key.table, key.name, "it refers to periods of time")
    columns = sql.SQL(", ").join(sql.Identifier("f", column) for column in key.columns)
    orphans = _orphans(key)
    grouped = sql.SQL("SELECT {} AS key, count(*) AS n {} GROUP BY 1").format(
        shown_text(sql.SQL("ROW({})").format(columns)), orphans
    )
    query = sql.SQL("SELECT key, n, count(*) OVER () FROM ({}) AS g ORDER BY n DESC, key LIMIT {}")
    rows = connection.execute(query.format(grouped, MOST_SAMPLES)).fetchall()
    if not rows:
        return None
    samples = tuple(f"{value} in {count} rows" for value, count, _ in rows)
    shown = for_psql(connection, sql.SQL("SELECT f.ctid, f.* {} ORDER BY {}").format(orphans, columns))
    return Violation("foreign-key", key.table, key.name, int(rows[0][2]), samples, shown)


def _orphans(key: ForeignKey) -> sql.Composed:
    """Return the part of a query after SELECT: rows `f` with a reference that leads nowhere.

    A reference with a NULL in it is none (MATCH SIMPLE); with MATCH FULL it is one that is broken, unless all is NULL.
    """
    same = sql.SQL(" AND ").join(
        sql.SQL("{} {} {}").format(sql.Identifier("p", theirs), sql.SQL(operator), sql.Identifier("f", ours))
        for theirs, operator, ours in zip(key.other_columns, key.operators, key.columns, strict=True)
    )
    given = sql.SQL(" OR " if key.is_full else " AND ").join(
        sql.SQL("{} IS DISTINCT FROM NULL").format(sql.Identifier("f", column)) for column in key.columns
    )
    return sql.SQL("FROM {} {} AS f WHERE ({}) AND NOT EXISTS (SELECT FROM {} {} AS p WHERE {})").format(
        *(sql.SQL(key.only), key.table.identifier(), given),
        *(sql.SQL(key.other_only), key.other.identifier(), same),
    )
