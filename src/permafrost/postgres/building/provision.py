"""Creates, describes, renames and drops databases on a restore's target server."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from permafrost.postgres.connection import database_errors

_MAXIMUM_NAME_BYTES = 63
UNFINISHED = "permafrost: unfinished restore"


@dataclass(frozen=True, slots=True)
class NewDatabase:
    """How to make a database: from template0, with this owner, encoding, collation and tablespace."""

    name: str
    owner: str | None
    encoding: str
    collate: str
    ctype: str
    locale_provider: str
    locale: str | None
    icu_rules: str | None = None
    tablespace: str | None = None


def database_oid(connection: psycopg.Connection, name: str) -> int | None:
    """Return the number of the database `name`, None if the server has none; another database has another number."""
    with database_errors("cannot list the databases"):
        row = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return int(row[0]) if row else None


def database_exists(connection: psycopg.Connection, name: str) -> bool:
    """Return whether the server has a database `name`."""
    return database_oid(connection, name) is not None


def connections_to(connection: psycopg.Connection, name: str) -> list[str]:
    """Return who is connected to the database `name`: application, user and process of each other session."""
    with database_errors("cannot list the sessions"):
        rows = connection.execute(
            """SELECT coalesce(nullif(application_name, ''), 'a session'), coalesce(usename, '?'), pid
            FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            ORDER BY pid""",
            (name,),
        ).fetchall()
    return [f"{application} of {user} (process {pid})" for application, user, pid in rows]


def create_database(connection: psycopg.Connection, wanted: NewDatabase) -> None:
    """Make the database, marked as an unfinished restore until `rename_database` or `mark_finished`.

    Raise `DatabaseError` if the server refuses (a locale that it does not know, a missing right).
    """
    options = [
        sql.SQL("TEMPLATE template0"),
        sql.SQL("ENCODING {}").format(sql.Literal(wanted.encoding)),
        sql.SQL("LC_COLLATE {}").format(sql.Literal(wanted.collate)),
        sql.SQL("LC_CTYPE {}").format(sql.Literal(wanted.ctype)),
    ]
    if wanted.owner is not None:
        options.append(sql.SQL("OWNER {}").format(sql.Identifier(wanted.owner)))
    version = connection.info.server_version
    if wanted.locale_provider == "c" and version >= 150000:
        options.append(sql.SQL("LOCALE_PROVIDER libc"))  # template0 may have another
    elif wanted.locale_provider == "i" and version >= 150000:
        options.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(wanted.locale)))
        if wanted.icu_rules is not None:
            options.append(sql.SQL("ICU_RULES {}").format(sql.Literal(wanted.icu_rules)))
    elif wanted.locale_provider == "b" and version >= 170000:
        options.append(sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(wanted.locale)))
    if wanted.tablespace is not None:
        options.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(wanted.tablespace)))
    with database_errors(f"cannot create the database {wanted.name}"):
        connection.execute(
            sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(wanted.name), sql.SQL(" ").join(options))
        )
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(wanted.name), sql.Literal(UNFINISHED))
        )


def is_unfinished_restore(connection: psycopg.Connection, name: str) -> bool:
    """Return whether `name` is a database that an earlier restore made and did not finish."""
    with database_errors("cannot look at the databases' comments"):
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') = %s FROM pg_database WHERE datname = %s", (UNFINISHED, name)
        ).fetchone()
    return bool(row and row[0])


def drop_database(connection: psycopg.Connection, name: str) -> None:
    """Drop the database `name`, ending what is still connected to it; nothing happens if it is not there."""
    with database_errors(f"cannot drop the database {name}"):
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def swap_databases(connection: psycopg.Connection, *, live: str, replacement: str, kept_as: str) -> None:
    """Rename `live` to `kept_as` and `replacement` to `live` in one transaction: both happen, or neither.

    Raise `DatabaseError` if somebody is connected to either.
    """
    with database_errors(f"cannot swap the restored database with {live}"), connection.transaction():
        for old, new in ((live, kept_as), (replacement, live)):
            rename_database(connection, old, new)


def rename_database(connection: psycopg.Connection, old: str, new: str) -> None:
    """Rename a database to which nobody is connected."""
    with database_errors(f"cannot rename the database {old}"):
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def name_with_suffix(name: str, suffix: str) -> str:
    """Return `name` and `suffix`, the name cut so that both fit into PostgreSQL's 63 bytes."""
    room = _MAXIMUM_NAME_BYTES - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix


def missing_roles(connection: psycopg.Connection, names: Sequence[str]) -> list[str]:
    """Return which of the roles the server does not have."""
    with database_errors("cannot list the roles"):
        rows = connection.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)",
            (list(names),),
        ).fetchall()
    return [row[0] for row in rows]


def may_become(connection: psycopg.Connection, role: str) -> bool:
    """Return whether the connection's role may SET ROLE to `role`, which exists."""
    right = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    with database_errors("cannot look at the role's rights"):
        row = connection.execute("SELECT pg_has_role(%s::text, %s)", (role, right)).fetchone()
    return bool(row and row[0])


def unusable_tablespaces(connection: psycopg.Connection, names: Sequence[str]) -> list[str]:
    """Return which of the tablespaces the server does not have, or does not let this role put anything into.

    Snapshots of before 2026-11-26 name pg_global, which holds nothing of a database.
    """
    with database_errors("cannot list the tablespaces"):
        rows = connection.execute(
            """SELECT name FROM unnest(%s::text[]) AS name WHERE name <> 'pg_global'
                AND NOT EXISTS (SELECT FROM pg_tablespace
                    WHERE spcname = name AND has_tablespace_privilege(oid, 'CREATE'))""",
            (list(names),),
        ).fetchall()
    return [row[0] for row in rows]


def collation_version(connection: psycopg.Connection, name: str) -> str | None:
    """Return the version of the collation of the database `name`, as it was made; None if it has none."""
    if connection.info.server_version < 150000:
        return None
    with database_errors("cannot look at the database's collation"):
        row = connection.execute("SELECT datcollversion FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return row[0] if row else None


def missing_extensions(connection: psycopg.Connection, names: Sequence[str]) -> list[str]:
    """Return which of the extensions cannot be created on the server: their files are not installed."""
    with database_errors("cannot list the extensions"):
        rows = connection.execute(
            """SELECT wanted.name FROM unnest(%s::text[]) AS wanted(name)
            WHERE NOT EXISTS (SELECT FROM pg_available_extensions e WHERE e.name = wanted.name)""",
            (list(names),),
        ).fetchall()
    return [row[0] for row in rows]


def locale_problem(connection: psycopg.Connection, collate: str, ctype: str) -> str | None:
    """Return what the server's C library says against this locale, None if it knows it.

    Asked by making a collation in the session's own temporary schema, which vanishes at once.
    """
    statement = sql.SQL("CREATE COLLATION pg_temp.permafrost_probe (LC_COLLATE = {}, LC_CTYPE = {})").format(
        sql.Literal(collate), sql.Literal(ctype)
    )
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return None  # no temporary objects for this role here; CREATE DATABASE will tell
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return None


def free_bytes(connection: psycopg.Connection) -> int | None:
    """Return the free bytes of the disk that holds the server's data, None if that cannot be known from here."""
    host = connection.info.host
    if host and not host.startswith("/") and host not in ("localhost", "127.0.0.1", "::1"):
        return None  # another machine
    try:
        row = connection.execute("SHOW data_directory").fetchone()
        return shutil.disk_usage(Path(row[0])).free if row else None
    except (psycopg.Error, OSError):
        return None
