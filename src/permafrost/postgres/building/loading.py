"""Sessions that load a database which nobody uses yet, and the planner's statistics of what they have loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from permafrost.errors import DatabaseError
from permafrost.postgres.connection import conninfo_for, database_errors, newer_settings
from permafrost.postgres.error_text import first_line

_MEMORY_FOR_ALL = 4  # a quarter of what is free now, for all sessions together
_LEAST_MEMORY_KB = 64 << 10  # PostgreSQL's own default
_MOST_MEMORY_KB = 1 << 20
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


_NOT_FROM_ROLES = {  # pg_restore's own sessions too: what a role or a database may have set for all of its sessions
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read\\ committed",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
}


def loading_conninfo(conninfo: str, jobs: int, server_version: int) -> str:
    """Return `conninfo` for sessions that load: commits do not wait for the disk, and indexes have memory to sort in.

    No time-out or other default of the role or of the database counts in them.

    A crash of the server in the middle costs the unfinished database, which is dropped anyway. The renaming at the
    end is a commit that waits, in another session, and with it everything that was committed before is on the disk
    (manual, "Asynchronous Commit"). `maintenance_work_mem` is raised only where the server's memory is this machine's.
    """
    given = conninfo_to_dict(conninfo)
    fixed = {**_NOT_FROM_ROLES, **newer_settings(server_version), "synchronous_commit": "off"}
    options = [str(given.get("options") or ""), *(f"-c {name}={value}" for name, value in fixed.items())]
    memory_kb = _memory_kb(str(given.get("host") or ""), jobs)
    if memory_kb is not None:
        options.append(f"-c maintenance_work_mem={memory_kb}kB")
    if jobs > 1:  # each builds an index; helpers of each would take turns on the same processors
        options.append("-c max_parallel_maintenance_workers=0")
    return conninfo_for(conninfo, options=" ".join(option for option in options if option))


def _memory_kb(host: str, jobs: int) -> int | None:
    """Return how much each of `jobs` sessions may sort in, None if the server's memory is another machine's."""
    if host and not host.startswith("/") and host not in _LOCAL_HOSTS:
        return None
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        available_kb = int(facts["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    return max(_LEAST_MEMORY_KB, min(_MOST_MEMORY_KB, available_kb // _MEMORY_FOR_ALL // max(1, jobs)))


def tables_by_size(connection: psycopg.Connection) -> Sequence[sql.Composable]:
    """Return what ANALYZE is to look at, the largest first: tables, partitioned ones, filled materialized views.

    Of a table with an index on an expression that is no B-tree (a full-text search), the columns by name: statistics
    of such expressions take longer than those of all columns, and PostgreSQL does not count this as an ANALYZE of the
    table, so that autovacuum makes up for it within a minute or so. The system's own tables are left to it too.
    """
    query = """
        SELECT n.nspname, c.relname, CASE WHEN EXISTS (
                SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                WHERE i.indrelid = c.oid AND i.indexprs IS NOT NULL AND m.amname <> 'btree')
            THEN (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm') AND c.relispopulated AND c.relpersistence <> 't'
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        ORDER BY pg_relation_size(c.oid) DESC, c.oid"""
    with database_errors("cannot list what has been restored"):
        rows = connection.execute(query).fetchall()
    return [_with_columns(sql.Identifier(schema, table), columns) for schema, table, columns in rows]


def _with_columns(table: sql.Identifier, columns: list[str] | None) -> sql.Composable:
    if not columns:
        return table
    return sql.SQL("{} ({})").format(table, sql.SQL(", ").join(sql.Identifier(column) for column in columns))


def analyze(connection: psycopg.Connection, table: sql.Composable) -> None:
    """Collect the planner's statistics of one table, or of the columns that come with it, unless they cannot be had.

    A partition may be a foreign table whose server is away, an index's expression may fail; autovacuum or an admin can
    make up for the statistics, and they are no reason to give up the rows.
    """
    try:
        connection.execute(sql.SQL("ANALYZE {}").format(table))
    except psycopg.Error as error:
        if connection.closed:
            raise DatabaseError(f"cannot analyze the restored database: {first_line(error)}") from error
