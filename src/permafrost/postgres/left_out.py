"""What the configuration leaves out of every backup: schemas and tables that belong to somebody else.

A provider of managed databases may keep tables of its own in a database, which its owner may not read. What is left out
is neither locked nor read nor dumped, and is named in each manifest and in the status: never silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

import psycopg

from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import database_errors

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Names of schemas, and of tables in other schemas, exactly as PostgreSQL has them."""

    schemas: frozenset[str] = frozenset()
    tables: frozenset[TableName] = frozenset()

    @classmethod
    def named(cls, schemas: Iterable[str], tables: Iterable[str]) -> Self:
        """Return what the configuration names; `tables` are each SCHEMA.TABLE."""
        split = (name.split(".", 1) for name in tables)
        return cls(frozenset(schemas), frozenset(TableName(schema, table) for schema, table in split))

    def covers(self, name: TableName) -> bool:
        """Return whether a table or a sequence is left out."""
        return name.schema in self.schemas or name in self.tables

    def kept(self, names: Mapping[K, TableName]) -> dict[K, TableName]:
        """Return those of the tables that are not left out."""
        return {key: name for key, name in names.items() if not self.covers(name)}

    def __bool__(self) -> bool:
        return bool(self.schemas or self.tables)


NOTHING = LeftOut()


def relations_left_out(connection: psycopg.Connection, left_out: LeftOut) -> dict[int, TableName]:
    """Return by oid what there is of tables (of all kinds) and sequences that are left out.

    A sequence goes with the table that owns it, as in pg_dump.
    """
    if not left_out:
        return {}
    with database_errors("cannot list what is left out"):
        rows = connection.execute(
            """SELECT c.oid::int8, n.nspname, c.relname, o.refobjid::int8
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_depend o ON c.relkind = 'S' AND o.classid = 'pg_class'::regclass AND o.objid = c.oid
                AND o.refclassid = 'pg_class'::regclass AND o.deptype IN ('a', 'i')
            WHERE c.relkind IN ('r', 'p', 'm', 'f', 'S') ORDER BY 2, 3"""
        ).fetchall()
    found = {oid: name for oid, *words, _ in rows if left_out.covers(name := TableName(*words))}
    return found | {oid: TableName(*words) for oid, *words, owner in rows if owner in found}
