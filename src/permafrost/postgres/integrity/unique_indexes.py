"""Unique indexes: no two rows of a table have the same key, by the index's own expressions, predicate and collation.

Rows are grouped by what the table holds. Two keys are equal by the equality of the key's type and of the index's
collation; an index with an operator class with another equality is reported as not examined. NULL differs from NULL
unless the index says otherwise (NULLS NOT DISTINCT, PostgreSQL 15).
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
class UniqueIndex:
    """A unique index of one table's own rows. Expressions and predicate are SQL as PostgreSQL writes it.

    `columns` are all columns that it depends on, those of its predicate too, as Mastodon's own keys are compared with.
    """

    table: TableName
    name: str
    expressions: tuple[str, ...]
    predicate: str | None
    nulls_are_equal: bool
    equality_is_the_types: bool
    columns: frozenset[str]


def list_unique_indexes(connection: psycopg.Connection) -> list[UniqueIndex]:
    """Return every valid unique index of the database's own tables and leaf partitions, in order of name.

    Names in expressions are qualified as the session's search_path needs it.
    """
    is_nulls_aware = connection.info.server_version >= 150000
    nulls = "i.indnullsnotdistinct" if is_nulls_aware else "false"
    rows = connection.execute(
        f"""SELECT n.nspname, c.relname, x.relname,
            (SELECT array_agg('(' || pg_get_indexdef(i.indexrelid, k, true) || ')' || CASE WHEN o.oid IS NULL THEN ''
                    ELSE ' COLLATE ' || quote_ident(m.nspname) || '.' || quote_ident(o.collname) END ORDER BY k)
                FROM generate_series(1, i.indnkeyatts) AS k LEFT JOIN pg_collation o ON o.oid = i.indcollation[k - 1]
                LEFT JOIN pg_namespace m ON m.oid = o.collnamespace),
            pg_get_expr(i.indpred, i.indrelid, true), {nulls},
            NOT EXISTS (SELECT FROM generate_series(1, i.indnkeyatts) AS k
                JOIN pg_opclass own ON own.oid = i.indclass[k - 1]
                JOIN pg_amop a ON a.amopfamily = own.opcfamily AND a.amopstrategy = 3
                    AND a.amoplefttype = own.opcintype AND a.amoprighttype = own.opcintype
                WHERE NOT EXISTS (SELECT FROM pg_opclass usual JOIN pg_am am ON am.oid = usual.opcmethod
                    JOIN pg_amop b ON b.amopfamily = usual.opcfamily AND b.amopopr = a.amopopr
                    WHERE usual.opcdefault AND am.amname = 'btree' AND usual.opcintype = own.opcintype)),
            coalesce((SELECT array_agg(DISTINCT t.attname::text) FROM pg_attribute t WHERE t.attrelid = c.oid
                AND (t.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = c.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid = t.attnum))), '{{}}')
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE i.indisunique AND NOT i.indisexclusion AND i.indisvalid AND i.indisready
            AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {OWN_SCHEMAS} ORDER BY 1, 2, 3"""  # noqa: S608 - constants
    ).fetchall()
    return [
        UniqueIndex(TableName(row[0], row[1]), row[2], tuple(row[3]), row[4], row[5], row[6], frozenset(row[7]))
        for row in rows
    ]


def examine_unique_index(connection: psycopg.Connection, index: UniqueIndex) -> Outcome:
    """Return which keys stand in more than one row; within `without_indexes`."""
    if not index.equality_is_the_types:
        return Unexamined("unique-index", index.table, index.name, "its operator class has an equality of its own")
    keys = _keys(index)
    grouped = sql.SQL("SELECT {} AS key, count(*) AS n FROM ONLY {}{} GROUP BY {} HAVING count(*) > 1").format(
        shown_text(sql.SQL("ROW({})").format(keys)), index.table.identifier(), _where(index), keys
    )
    query = sql.SQL("SELECT key, n, count(*) OVER () FROM ({}) AS g ORDER BY n DESC, key LIMIT {}")
    rows = connection.execute(query.format(grouped, MOST_SAMPLES)).fetchall()
    if not rows:
        return None
    samples = tuple(f"{key} in {count} rows" for key, count, _ in rows)
    shown = for_psql(connection, _duplicates(index))
    return Violation("unique-index", index.table, index.name, int(rows[0][2]), samples, shown)


def _keys(index: UniqueIndex) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(expression) for expression in index.expressions)


def _where(index: UniqueIndex) -> sql.Composable:
    conditions = [f"({index.predicate})"] if index.predicate else []
    if not index.nulls_are_equal:  # IS NOT NULL asks a composite value for its fields instead
        conditions += [f"{expression} IS DISTINCT FROM NULL" for expression in index.expressions]
    return sql.SQL(" WHERE " + " AND ".join(conditions)) if conditions else sql.SQL("")


def _duplicates(index: UniqueIndex) -> sql.Composed:
    """Return the query of all rows whose key is another row's too."""
    keys = _keys(index)
    return sql.SQL(
        "SELECT * FROM (SELECT count(*) OVER (PARTITION BY {}) AS rows_with_this_key, ctid, * FROM ONLY {}{}) AS d "
        "WHERE rows_with_this_key > 1 ORDER BY {}"
    ).format(keys, index.table.identifier(), _where(index), keys)
