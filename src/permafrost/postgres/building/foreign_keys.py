"""Foreign keys, added together and checked table by table.

`ADD FOREIGN KEY` checks every row while it holds a lock that conflicts with itself on both tables (SHARE ROW
EXCLUSIVE), so that hardly two of a database whose tables all refer to `accounts` are checked at a time. Added as NOT
VALID a key costs nothing, and `VALIDATE CONSTRAINT` runs the same check under locks that conflict only within one
referring table (manual, ALTER TABLE, "Notes").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.failures import FailureSink, failures_to, stop_at_first
from permafrost.postgres.programs.sql_script import split_statements

_CAN_WAIT = re.compile(rb"\AALTER TABLE ONLY .* FOREIGN KEY .*(?<! NOT VALID)(?<! NOT ENFORCED);\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class UncheckedKeys:
    """The keys of one referring table that are still to be checked."""

    name: TableName
    constraints: tuple[str, ...]


def add_foreign_keys(conninfo: str, script: bytes, on_failure: FailureSink = stop_at_first) -> Sequence[UncheckedKeys]:
    """Run pg_restore's script of foreign keys, and return those that are left to be checked, largest table first.

    A key that the script itself adds as NOT VALID or NOT ENFORCED stays so. Where there are partitioned tables every
    key is checked at once: those of such a table cannot be NOT VALID before PostgreSQL 18, and those that refer to one
    have a part for each partition, which cannot be checked by itself.
    """
    statements = split_statements(script)
    # the script sets up its session, its encoding too, so that names are looked up in another one
    with (
        connected(conninfo) as session,
        connected(conninfo) as catalog,
        database_errors("cannot add the foreign keys"),
    ):
        waiting = [] if _has_partitions(catalog) else [command for command in statements if _CAN_WAIT.match(command)]
        for statement in statements:
            if statement not in waiting:
                with failures_to(on_failure, statement), database_errors("a foreign key cannot be added", statement):
                    session.execute(statement)
        before = _unchecked(catalog)
        for statement in waiting:
            unchecked = statement.removesuffix(b";") + b" NOT VALID;"
            with failures_to(on_failure, statement), database_errors("a foreign key cannot be added", unchecked):
                session.execute(unchecked)
        keys = _unchecked(catalog) - before
    by_table: dict[tuple[str, str], list[str]] = {}
    for _, namespace, table, constraint in sorted(keys, key=lambda key: (-key[0], key[1:])):
        by_table.setdefault((namespace, table), []).append(constraint)
    return [UncheckedKeys(TableName(*name), tuple(found)) for name, found in by_table.items()]


def check_foreign_keys(
    connection: psycopg.Connection, keys: UncheckedKeys, on_failure: FailureSink = stop_at_first
) -> None:
    """Return if every row of the table refers to one that exists; a key that does not hold goes to `on_failure`.

    Such a key stays in the database as NOT VALID.
    """
    for constraint in keys.constraints:
        named = (keys.name.identifier(), sql.Identifier(constraint))
        command = sql.SQL("ALTER TABLE ONLY {} VALIDATE CONSTRAINT {};").format(*named)
        statement = command.as_bytes(connection)
        doing = f"the foreign key {constraint} does not hold"
        with failures_to(on_failure, statement), database_errors(doing, statement):
            connection.execute(statement)


def _has_partitions(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT EXISTS (SELECT FROM pg_class WHERE relkind = 'p')").fetchone()
    return bool(row and row[0])


def _unchecked(connection: psycopg.Connection) -> set[tuple[int, str, str, str]]:
    """Return the table's size, schema and name, and the key's name, of every key that is not valid."""
    return set(
        connection.execute(
            """SELECT pg_relation_size(c.oid), n.nspname, c.relname, k.conname
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE k.contype = 'f' AND NOT k.convalidated"""
        ).fetchall()
    )
