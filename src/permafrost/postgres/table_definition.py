"""A table's column definitions, read from one database and recreated in another as a plain table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.errors import RestoreRefusedError
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import database_errors


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column: its type and expressions as SQL with every name qualified, as PostgreSQL itself writes them.

    `default` is None where there is none, also for an identity column; `generated` is `s` (stored), `v` (virtual)
    or empty, and `default` is then the expression.
    """

    name: str
    type_sql: str
    collation_sql: str | None
    is_not_null: bool
    generated: str
    default: str | None


def read_columns(connection: psycopg.Connection, table: TableName) -> tuple[ColumnDefinition, ...]:
    """Return the table's columns, inherited ones too, in their order."""
    with database_errors(f"cannot read the columns of {table}"):
        rows = connection.execute(
            """SELECT a.attname, format_type(a.atttypid, a.atttypmod),
                CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
                    THEN quote_ident(n.nspname) || '.' || quote_ident(c.collname) END,
                a.attnotnull, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid)
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            LEFT JOIN pg_collation c ON c.oid = a.attcollation LEFT JOIN pg_namespace n ON n.oid = c.collnamespace
            WHERE a.attrelid = (SELECT r.oid FROM pg_class r JOIN pg_namespace m ON m.oid = r.relnamespace
                    WHERE m.nspname = %s AND r.relname = %s)
                AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum""",
            (table.schema, table.name),
        ).fetchall()
    return tuple(ColumnDefinition(*row) for row in rows)


def table_exists(connection: psycopg.Connection, table: TableName) -> bool:
    """Return whether something of that name, a table or anything else of its kind, is in the schema."""
    with database_errors("cannot list the tables"):
        row = connection.execute(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s",
            (table.schema, table.name),
        ).fetchone()
    return row is not None


def create_table(connection: psycopg.Connection, table: TableName, columns: Sequence[ColumnDefinition]) -> None:
    """Make the table, without defaults, keys and indexes, and its schema if that is not there.

    Raise `RestoreRefusedError` if a type, collation or function of a column is not in the database.
    """
    parts = [_column(column) for column in columns]
    body = sql.SQL("CREATE TABLE {} ({})").format(table.identifier(), sql.SQL(", ").join(parts))
    with database_errors(f"cannot create the table {table}"):
        there = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (table.schema,)).fetchone()
        if there is None:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(table.schema)))
        try:
            connection.execute(body)
        except (
            psycopg.errors.UndefinedObject,
            psycopg.errors.UndefinedFunction,
            psycopg.errors.InvalidSchemaName,
        ) as error:
            raise RestoreRefusedError(
                f"the database lacks something that a column of {table.name} needs: {str(error).splitlines()[0]}",
                unchanged="everything",
                hint="restore the whole snapshot into a new database, or take the rows as text with --stdout",
            ) from error


def _column(column: ColumnDefinition) -> sql.Composed:
    # types and expressions are PostgreSQL's own writing, out of a database made from a signed frame
    parts: list[sql.Composable] = [sql.Identifier(column.name), sql.SQL(column.type_sql)]
    if column.collation_sql is not None:
        parts += [sql.SQL("COLLATE"), sql.SQL(column.collation_sql)]
    if column.generated:
        kind = "STORED" if column.generated == "s" else "VIRTUAL"
        parts.append(sql.SQL(f"GENERATED ALWAYS AS ({column.default}) {kind}"))
    if column.is_not_null:
        parts.append(sql.SQL("NOT NULL"))
    return sql.SQL(" ").join(parts)


def set_defaults(
    connection: psycopg.Connection, table: TableName, columns: Sequence[ColumnDefinition]
) -> tuple[str, ...]:
    """Give the columns the defaults that the database can have, and return the names of the others.

    A default that takes its value from a sequence is left out: the table would then hang on, and wind forward, the
    live table's sequence.
    """
    left_out = []
    for column in columns:
        if column.default is None or column.generated:
            continue
        if "nextval(" in column.default:
            left_out.append(column.name)
            continue
        command = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
            table.identifier(),
            sql.Identifier(column.name),
            sql.SQL(column.default),
        )
        try:
            with connection.transaction():
                connection.execute(command)
        except psycopg.Error:
            left_out.append(column.name)
    return tuple(left_out)
