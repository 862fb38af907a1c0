"""Detects that pg_dump would write the same definitions again, without running it.

The system catalog is made of ordinary tables, and its rows of row versions: each is named for its whole life by
(relfilenode, ctid, xmin), as a table's rows are in the segment log (docs/engine.md). Definitions change only by row
versions that come and go. What PostgreSQL overwrites in place (`systable_inplace_update`: sizes, counts, ages and
"may have" flags in pg_class and pg_database, by VACUUM, ANALYZE and CREATE INDEX) is in no definition. So if no row
version has come or gone, pg_dump has nothing else to read than last time.

Where something cannot be read, or lies outside the catalog, there is no mark, and pg_dump runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import psycopg
from psycopg import sql

from permafrost.postgres.connection import database_errors

_STATISTICS = ("pg_statistic", "pg_statistic_ext_data")  # of rows, by ANALYZE; not dumped, and nobody else's to read
_THROUGH_A_VIEW = "pg_authid"  # who may read pg_roles may not read its passwords
_FIRST_OWN_OID = 16384  # FirstNormalObjectId (PostgreSQL's src/include/access/transam.h)


def catalog_mark(connection: psycopg.Connection, logged: Collection[int], left_out: Collection[int] = ()) -> str | None:
    """Return a digest that changes with every definition that the connection's snapshot sees, None if there is none.

    It also changes with all that `catalog.describe_database` says of roles.

    `logged` and `left_out` are the oids of the tables whose rows are not pg_dump's; another choice of the latter is
    another mark. There is no mark if pg_dump has rows or large objects to dump, or if a part of the catalog with
    something in it may not be read.
    """
    with database_errors("cannot look at the catalog"):
        if _has_rows_for_pg_dump(connection, [*logged, *left_out]):
            return None
        listed = connection.execute(
            """SELECT c.relname, pg_relation_filenode(c.oid)::int8, has_table_privilege(c.oid, 'SELECT')
            FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'pg_catalog'::regnamespace ORDER BY 1"""
        ).fetchall()
        readable = [(name, node) for name, node, may_read in listed if may_read and name not in _STATISTICS]
        hidden = {name for name, _, may_read in listed if not may_read} - {*_STATISTICS, _THROUGH_A_VIEW}
        if not all(_is_empty(connection, name) for name in hidden):
            return None
        found = connection.execute(_query([name for name, _ in readable])).fetchall()
        roles = connection.execute(
            "SELECT oid::int8, rolname, rolsuper, rolinherit, rolcanlogin, rolbypassrls FROM pg_roles ORDER BY 1"
        ).fetchall()
    facts = (
        connection.info.server_version,
        readable,
        sorted(found, key=lambda row: str(row[0])),
        roles,
        sorted(left_out),
    )
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()


def _query(names: Collection[str]) -> sql.Composed:
    """Return a query that hashes each table's row versions, in the order in which they lie."""
    one = "SELECT {}, sha256(string_agg(tidsend(ctid) || xidsend(xmin), ''::bytea)) FROM pg_catalog.{}"
    return sql.SQL(" UNION ALL ").join(
        sql.SQL(one).format(sql.Literal(name), sql.Identifier(name)) for name in names if name != _THROUGH_A_VIEW
    )


def _has_rows_for_pg_dump(connection: psycopg.Connection, logged: Collection[int]) -> bool:
    row = connection.execute(
        """SELECT EXISTS (SELECT FROM pg_largeobject_metadata) OR EXISTS (
            SELECT FROM pg_class WHERE relkind = 'r' AND relpersistence <> 't' AND oid >= %s::int8::oid
            AND oid <> ALL(%s::oid[]))""",
        (_FIRST_OWN_OID, list(logged)),
    ).fetchone()
    return row is None or bool(row[0])


def _is_empty(connection: psycopg.Connection, name: str) -> bool:
    """Return whether a catalog table that may not be read holds nothing, by what anybody may see of it."""
    if name == "pg_largeobject":
        return True  # its rows belong to those of pg_largeobject_metadata, of which there are none
    if name not in {"pg_user_mapping", "pg_subscription"}:
        return False
    seen = "pg_user_mappings" if name == "pg_user_mapping" else "pg_subscription"
    count = "umid" if name == "pg_user_mapping" else "oid"
    row = connection.execute(sql.SQL("SELECT count({}) FROM {}").format(sql.Identifier(count), sql.Identifier(seen)))
    found = row.fetchone()
    return found is not None and found[0] == 0
