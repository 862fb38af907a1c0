"""Which tables the segment log can read, and how it knows that a table is still the same (docs/engine.md).

Logged are ordinary heap tables and leaf partitions whose rows' text depends on nothing but the row and on facts
that the signature contains: columns, enum labels, versions of the types' extensions. Everything else is pg_dump's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.errors import DatabaseError
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import database_errors

# The text of these depends on names or roles that can change while the row does not, or is internal.
_UNSTABLE = frozenset(
    [
        *("regproc", "regprocedure", "regoper", "regoperator", "regclass", "regtype", "regrole", "regnamespace"),
        *("regconfig", "regdictionary", "regcollation", "aclitem", "pg_node_tree", "pg_ndistinct", "pg_dependencies"),
        *("pg_mcv_list", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary"),
    ]
)


@dataclass(frozen=True, slots=True)
class LoggedTable:
    """A table that the log can read. `columns` are those that COPY reads: in order, without generated ones."""

    oid: int
    name: TableName
    file_node: int
    pages: int
    columns: tuple[str, ...]
    signature: str
    """Differs whenever the table's rows have to be read again from the start."""
    is_in_wal: bool
    """Whether every change to its rows is written to the WAL: it is not unlogged."""


@dataclass(frozen=True, slots=True)
class _Type:
    oid: int
    name: str
    kind: str
    is_builtin: bool
    parts: tuple[int, ...]
    labels: tuple[str, ...]
    extension: tuple[str, str] | None


def candidate_tables(connection: psycopg.Connection) -> dict[int, TableName]:
    """Return name by oid of the tables that could be logged, as far as the kind of relation goes."""
    with database_errors("cannot list the tables"):
        rows = connection.execute(
            """SELECT c.oid::int8, n.nspname, c.relname FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
            WHERE c.relkind = 'r' AND a.amname = 'heap' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND (c.relpersistence = 'p' OR (c.relpersistence = 'u' AND NOT pg_is_in_recovery()))
              AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                              AND e.deptype = 'e')
            ORDER BY 2, 3"""
        ).fetchall()
    return {row[0]: TableName(row[1], row[2]) for row in rows}


def check_readable(connection: psycopg.Connection, candidates: Mapping[int, TableName]) -> None:
    """Raise `DatabaseError` with everything that the role lacks for reading the tables, before any work begins."""
    with database_errors("cannot look at the role's rights"):
        rows = connection.execute(
            """SELECT c.oid::int8, current_user, row_security_active(c.oid) FROM pg_class c
            WHERE c.oid = ANY(%s::oid[]) AND (NOT has_table_privilege(c.oid, 'SELECT')
                OR NOT has_schema_privilege(c.relnamespace, 'USAGE') OR row_security_active(c.oid))""",
            (list(candidates),),
        ).fetchall()
    if not rows:
        return
    role = rows[0][1]
    hidden = sorted(str(candidates[oid]) for oid, _, is_hidden in rows if is_hidden)
    closed = sorted(str(candidates[oid]) for oid, _, is_hidden in rows if not is_hidden)
    said, hints = [], []
    if closed:
        said.append(f"the role {role} may not read {_some(closed)}")
        hints.append(f"GRANT pg_read_all_data TO {role}")
    if hidden:
        said.append(f"row security hides rows of {_some(hidden)} from the role {role}")
        hints.append(f"ALTER ROLE {role} BYPASSRLS")
    leave_out = "; or leave out what is not yours: [database] exclude_schemas, exclude_tables" if closed else ""
    raise DatabaseError("; ".join(said), hint=f"as a superuser: {'; '.join(hints)}{leave_out}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more tables" if len(names) > 5 else "")


def lock_tables(connection: psycopg.Connection, names: Sequence[TableName], timeout_ms: int) -> None:
    """Lock tables against everything that rewrites or drops them, for the rest of the transaction.

    Raise psycopg's own errors: `UndefinedTable` if one has gone, `LockNotAvailable` after `timeout_ms`.
    """
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{timeout_ms}ms")))
    if names:
        tables = sql.SQL(", ").join(sql.SQL("ONLY {}").format(name.identifier()) for name in names)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(tables))


def describe_tables(connection: psycopg.Connection, candidates: Mapping[int, TableName]) -> tuple[LoggedTable, ...]:
    """Return those of the locked `candidates` that can be logged, in order of name."""
    with database_errors("cannot read the tables' columns"):
        columns = {
            oid: list(zip(*described, strict=True))
            for oid, *described in connection.execute(
                """SELECT attrelid::int8, array_agg(attnum::int4 ORDER BY attnum),
                    array_agg(attname::text ORDER BY attnum), array_agg(atttypid::int8 ORDER BY attnum),
                    array_agg(atttypmod ORDER BY attnum), array_agg(attgenerated <> '' ORDER BY attnum)
                FROM pg_attribute WHERE attrelid = ANY(%s::oid[]) AND attnum > 0 AND NOT attisdropped GROUP BY 1""",
                (list(candidates),),
            )
        }
        types = _types(connection, {column[2] for described in columns.values() for column in described})
        sizes = connection.execute(
            """SELECT c.oid::int8, pg_relation_filenode(c.oid)::int8,
                   pg_relation_size(c.oid) / current_setting('block_size')::int8, c.relpersistence = 'p'
            FROM pg_class c WHERE c.oid = ANY(%s::oid[])""",
            (list(candidates),),
        ).fetchall()
    tables = []
    for oid, file_node, pages, is_in_wal in sizes:
        described = columns.get(oid, [])
        readable = tuple(name for _, name, _, _, is_generated in described if not is_generated)
        closures = [_closure(type_oid, types) for _, _, type_oid, _, _ in described]
        if any(closure is None for closure in closures) or (described and not readable) or file_node is None:
            continue
        content = json.dumps([file_node, described, [closure for closure in closures if closure]], default=str)
        signature = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        tables.append(LoggedTable(oid, candidates[oid], file_node, pages, readable, signature, is_in_wal))
    return tuple(sorted(tables, key=lambda table: table.name))


def _types(connection: psycopg.Connection, oids: Collection[int]) -> dict[int, _Type]:
    """Return types by oid, and all that they are made of."""
    found: dict[int, _Type] = {}
    asked, wanted = set[int](), set(oids)
    while wanted:
        found |= _read_types(connection, wanted)
        asked |= wanted
        wanted = {part for oid in wanted & found.keys() for part in found[oid].parts} - asked
    return found


def _read_types(connection: psycopg.Connection, oids: Collection[int]) -> dict[int, _Type]:
    rows = connection.execute(
        """SELECT t.oid::int8, t.typname, t.typtype::text, t.typnamespace = 'pg_catalog'::regnamespace,
            array_remove(ARRAY[nullif(t.typelem, 0)::int8, nullif(t.typbasetype, 0)::int8, r.rngsubtype::int8], NULL)
                || ARRAY(SELECT a.atttypid::int8 FROM pg_attribute a
                    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                    ORDER BY a.attnum),
            ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
            e.extname, e.extversion
        FROM pg_type t LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid)
        LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
        LEFT JOIN pg_extension e ON e.oid = d.refobjid WHERE t.oid = ANY(%s::oid[])""",
        (list(oids),),
    )
    return {
        oid: _Type(
            oid, name, kind, is_builtin, tuple(parts), tuple(labels), (extension, version) if extension else None
        )
        for oid, name, kind, is_builtin, parts, labels, extension, version in rows
    }


def _closure(type_oid: int, types: Mapping[int, _Type]) -> list[object] | None:
    """Return what the text of a type depends on, itself and all that it is made of; None if it is not stable."""
    waiting = [type_oid]
    seen: set[int] = set()
    facts: list[object] = []
    while waiting:
        oid = waiting.pop()
        if oid in seen:
            continue
        seen.add(oid)
        found = types.get(oid)
        if found is None or found.name in _UNSTABLE or found.kind == "p":
            return None
        is_foreign_base = found.kind == "b" and not found.is_builtin and not found.parts and found.extension is None
        if is_foreign_base:
            return None  # a base type of somebody's own: nobody knows what its text depends on
        facts.append([found.oid, found.name, found.kind, found.labels, found.extension, found.parts])
        waiting.extend(found.parts)
    return facts
