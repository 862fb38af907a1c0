"""Which of a snapshot's extensions the server lets us create, found out before anything is loaded.

Some insist on being preloaded, or on one database by name (pg_cron); whether the server and the database will do cannot
be read anywhere. So each is created in the empty database, in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.error_text import first_line


def refused_extensions(conninfo: str, names: Sequence[str]) -> Mapping[str, str]:
    """Return those of the extensions that cannot be created in the database, with what the server says."""
    refused: dict[str, str] = {}
    if not names:
        return refused
    with connected(conninfo) as connection:
        connection.execute("SET client_min_messages = error; SET search_path = public, pg_catalog")
        for name in names:
            statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE").format(sql.Identifier(name))
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(statement)
            except psycopg.Error as error:
                if connection.closed:
                    with database_errors(f"cannot try to create the extension {name}"):
                        raise
                refused[name] = first_line(error)
    return refused


def extensions_for_superusers(connection: psycopg.Connection, names: Sequence[str]) -> list[str]:
    """Return which of the extensions this role may not create because it is no superuser."""
    with database_errors("cannot look at the extensions that can be created"):
        rows = connection.execute(
            """SELECT DISTINCT v.name FROM pg_available_extension_versions v
            JOIN pg_available_extensions e ON e.name = v.name AND e.default_version = v.version
            WHERE v.name = ANY(%s::text[]) AND v.superuser AND NOT v.trusted
                AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            ORDER BY 1""",
            (list(names),),
        ).fetchall()
    return [str(row[0]) for row in rows]
