"""Exclusion constraints, and keys WITHOUT OVERLAPS (PostgreSQL 18): no two rows exclude each other.

Without the index every pair of rows has to be compared, which for a large table takes for ever where none of the
operators is an equality, so that each has its time limit and is reported as not examined after it.
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

PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A constraint over one table's own rows: two rows for which every operator is true exclude each other."""

    table: TableName
    name: str
    expressions: tuple[str, ...]
    operators: tuple[str, ...]
    predicate: str | None


def list_exclusions(connection: psycopg.Connection) -> list[Exclusion]:
    """Return every exclusion constraint of the database's own tables, in order of name."""
    rows = connection.execute(
        f"""SELECT n.nspname, c.relname, k.conname,
            (SELECT array_agg(pg_get_indexdef(i.indexrelid, p, true) ORDER BY p)
                FROM generate_series(1, i.indnkeyatts) AS p),
            (SELECT array_agg('OPERATOR(' || quote_ident(m.nspname) || '.' || o.oprname || ')' ORDER BY u.place)
                FROM unnest(k.conexclop) WITH ORDINALITY AS u (oid, place) JOIN pg_operator o ON o.oid = u.oid
                JOIN pg_namespace m ON m.oid = o.oprnamespace),
            pg_get_expr(i.indpred, i.indrelid, true)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_index i ON i.indexrelid = k.conindid
        WHERE k.conexclop IS NOT NULL AND c.relkind = 'r' AND c.relpersistence <> 't' AND {OWN_SCHEMAS}
        ORDER BY 1, 2, 3"""  # noqa: S608 - a constant
    ).fetchall()
    return [Exclusion(TableName(row[0], row[1]), row[2], tuple(row[3]), tuple(row[4]), row[5]) for row in rows]


def examine_exclusion(connection: psycopg.Connection, exclusion: Exclusion) -> Outcome:
    """Return which pairs of rows exclude each other; within `without_indexes`."""
    numbers = range(len(exclusion.expressions))
    keys = ", ".join(f"({text}) AS k{number}" for number, text in enumerate(exclusion.expressions))
    where = f" WHERE {exclusion.predicate}" if exclusion.predicate else ""
    # PostgreSQL's own writing of expressions and operators, out of its catalog
    side = sql.SQL("(SELECT ctid AS place, {} FROM ONLY {}{})").format(
        sql.SQL(keys), exclusion.table.identifier(), sql.SQL(where)
    )
    excludes = " AND ".join(f"a.k{number} {exclusion.operators[number]} b.k{number}" for number in numbers)
    pairs = sql.SQL("FROM {} AS a JOIN {} AS b ON a.place < b.place AND {}").format(side, side, sql.SQL(excludes))
    first, second = (sql.SQL(f"ROW({', '.join(f'{alias}.k{number}' for number in numbers)})") for alias in "ab")
    query = sql.SQL("SELECT {}, {}, count(*) OVER () {} LIMIT {}").format(
        shown_text(first), shown_text(second), pairs, MOST_SAMPLES
    )
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{PATIENCE_S}s'")
            rows = connection.execute(query).fetchall()
            connection.execute("SET LOCAL statement_timeout = 0")
    except psycopg.errors.QueryCanceled:
        reason = f"comparing its rows with each other takes more than {PATIENCE_S} s"
        return Unexamined("exclusion", exclusion.table, exclusion.name, reason)
    if not rows:
        return None
    shown = for_psql(connection, sql.SQL("SELECT a.*, b.* {}").format(pairs))
    samples = tuple(f"{one} and {other}" for one, other, _ in rows)
    return Violation("exclusion", exclusion.table, exclusion.name, int(rows[0][2]), samples, shown)
