"""Connections whose text output does not depend on any settings, and conninfo strings for PostgreSQL's programs.

Sessions are fixed: what a value looks like as text must be the same today, next year, and on the restored server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from permafrost.config.conninfo import SECRETS
from permafrost.errors import ConfigurationError, DatabaseError
from permafrost.postgres.error_text import error_hint, error_text
from permafrost.postgres.version import major_version

APPLICATION_NAME = "permafrost"

# A peer that vanished (a pulled cable, a firewall that forgot) is noticed after about a minute, not after the
# kernel's two hours. libpq, "Database Connection Control Functions".
_LIVENESS = {
    "connect_timeout": "15",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

_FIXED_SETTINGS = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "search_path": "pg_catalog",
    "row_security": "off",
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    "enable_tidscan": "on",
    "jit": "off",  # it costs more than it gains on queries that read a table once
    # what a role or a database may have set for all of its sessions, and would end or hinder ours
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
_NEWER_SETTINGS = {"idle_session_timeout": ("0", 140000), "transaction_timeout": ("0", 170000)}
"""With the version of PostgreSQL that first has them."""


def conninfo_for(conninfo: str, **changes: str) -> str:
    """Return `conninfo` (libpq string or URI) with liveness settings where it has none, and with `changes`.

    Raise `ConfigurationError` if libpq cannot read it.
    """
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            f"the database's connection string cannot be read: {str(error).strip()}",
            hint='see "Connection Strings" in the libpq manual; for example postgresql:///mastodon_production',
        ) from error
    return make_conninfo("", **{**_LIVENESS, "application_name": APPLICATION_NAME, **given, **changes})


def named_database(conninfo: str) -> str | None:
    """Return the database that a connection string names, None if it names none."""
    return str(conninfo_to_dict(conninfo_for(conninfo)).get("dbname") or "") or None


_OF_EVERY_SESSION = (*_LIVENESS, "application_name", "client_encoding")


def without_passwords(conninfo: str) -> str:
    """Return a connection string that may be printed."""
    return make_conninfo("", **{name: value for name, value in _given(conninfo).items() if name not in SECRETS})


def names_server(conninfo: str) -> bool:
    """Return whether `conninfo` says more than the name of a database."""
    return bool(_given(conninfo).keys() - {"dbname"})


def for_database(conninfo: str, database: str) -> str:
    """Return what `psql -d` takes to reach `database` on the server of `conninfo`: its name alone if that will do."""
    # psql's manual, -d: "The dbname can be a connection string"; a name that looks like one would be read as one
    if names_server(conninfo) or "=" in database or database.startswith(("postgres://", "postgresql://")):
        return make_conninfo("", **{**_given(conninfo), "dbname": database})
    return database


def server_of(connection: psycopg.Connection) -> str:
    """Return a connection string for the server and the database of `connection`, without what every session sets."""
    given = connection.info.get_parameters()  # psycopg: those that differ from libpq's defaults, without the password
    return make_conninfo("", **{name: value for name, value in given.items() if name not in _OF_EVERY_SESSION})


def _given(conninfo: str) -> dict[str, str]:
    return {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value}


def as_role(conninfo: str, role: str) -> str:
    """Return `conninfo` for sessions that are another role's from their start, as by SET ROLE."""
    given = str(conninfo_to_dict(conninfo_for(conninfo)).get("options") or "")
    escaped = re.sub(r"([\\\s])", r"\\\1", role)  # libpq, "options": spaces and backslashes
    return conninfo_for(conninfo, options=f"{given} -c role={escaped}".strip())


def libpq_environment() -> dict[str, str]:
    """Return the PG* variables that we were given; libpq and its programs honour them."""
    return {name: value for name, value in os.environ.items() if name.startswith("PG")}


def server_major(connection: psycopg.Connection) -> int:
    """Return the major version of the connection's server, as 15."""
    return major_version(connection.info.server_version)


class LockConflictError(DatabaseError):
    """A lock could not be had because another session holds or waits for it exclusively; a new try may succeed."""


@contextmanager
def database_errors(doing: str, statement: str | bytes = "") -> Iterator[None]:
    """Turn errors of PostgreSQL inside the block into a `DatabaseError` that says what was being done.

    It has PostgreSQL's own DETAIL and CONTEXT, and the `statement` that failed where it is given.
    """
    try:
        yield
    except psycopg.Error as error:
        hint = _hint(error) or error_hint(error)
        raise DatabaseError(f"{doing}: {error_text(error, statement)}", hint=hint) from error


def _hint(error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return (
                "reading needs: GRANT pg_read_all_data TO the_role; "
                "restoring needs a superuser, or CREATEDB and membership in the database's owner"
            )
        case psycopg.errors.DataCorrupted() | psycopg.errors.IoError():
            return "permafrost check DATABASE names the rows that cannot be read; check the disk"
        case psycopg.errors.ObjectInUse():
            return "something is connected to it: stop Mastodon and PgBouncer, and try again"
        case psycopg.OperationalError(sqlstate=None):
            return _connection_hint(str(error))
        case psycopg.errors.InvalidCatalogName():
            return "is PostgreSQL running, and does the connection string name its host, port, database and user?"
    return ""


_CONNECTION_HINTS = (
    (
        r"permission denied for database",
        (
            "the server runs, and this role may not connect to that database: name another one, "
            "for a restore as --server 'dbname=NAME ...'"
        ),
    ),
    (r"database .* does not exist", "the server runs and let you in, but has no such database: psql -l lists them"),
    (
        r"role .* does not exist",
        "the server runs, but has no such role: name another with user=, or createuser makes it",
    ),
    (
        r"password authentication failed|no password supplied",
        (
            "the server runs; the password is wrong or missing: check the passfile "
            "that the connection string names, its mode (0600) and its line host:port:database:user:password"
        ),
    ),
    (
        r"[Pp]eer authentication failed",
        (
            "the server runs, and takes local users only under their own name: run this as that "
            "system user (sudo -u NAME permafrost ...), or name another role with user="
        ),
    ),
    (
        r"no pg_hba.conf entry",
        "the server runs, and its pg_hba.conf lets nobody in from here as that role to that database",
    ),
    (r"could not translate host name|Name or service not known", "there is no machine of that name: check host="),
    (
        r"Connection refused|No such file or directory|Is the server running",
        (
            "no PostgreSQL answers there: is it running, and "
            "are host= and port= right? A folder as host= is that of its socket, such as /var/run/postgresql"
        ),
    ),
    (
        r"too many (connections|clients)|remaining connection slots",
        "all of the server's connections are taken: wait, or raise max_connections",
    ),
    (r"certificate|SSL", "the server runs; look at sslmode= and sslrootcert="),
    (
        r"timeout expired|timed out|No route to host|unreachable",
        "nothing answers from that address: a firewall, or the wrong host=",
    ),
)


def _connection_hint(said: str) -> str:
    """Return what to do about a connection that failed; libpq gives no code for it, only words (libpq, 34.1)."""
    for pattern, hint in _CONNECTION_HINTS:
        if re.search(pattern, said):
            return hint
    return "is PostgreSQL running, and does the connection string name its host, port, database and user?"


@contextmanager
def connected(conninfo: str, *, autocommit: bool = True) -> Iterator[psycopg.Connection]:
    """Yield a connection with fixed session settings, closed at the end.

    Raise `DatabaseError` if it cannot be made. Errors of what the block does are the block's own to turn.
    """
    with database_errors("cannot connect to the database"):
        connection = psycopg.connect(conninfo_for(conninfo), autocommit=autocommit)
    try:
        with database_errors("cannot set up the session"):
            fix_session(connection)
            refuse_pooler(connection)
        yield connection
    finally:
        connection.close()


def fix_session(connection: psycopg.Connection) -> None:
    """Set everything that text output depends on; the client's encoding becomes the server's.

    A SQL_ASCII database holds bytes of no known encoding, and PostgreSQL converts nothing; LATIN1 as the client's
    encoding lets every byte through as it is, and gives names that can be handed back.
    """
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding == "SQL_ASCII":
        encoding = "LATIN1"
    settings = {**_FIXED_SETTINGS, "client_encoding": encoding, **newer_settings(connection.info.server_version)}
    query = sql.SQL("; ").join(
        sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in settings.items()
    )
    connection.execute(query)
    if not connection.autocommit:
        connection.commit()


def newer_settings(server_version: int) -> dict[str, str]:
    """Return those of our settings that only newer servers have."""
    return {name: value for name, (value, since) in _NEWER_SETTINGS.items() if server_version >= since}


def refuse_pooler(connection: psycopg.Connection) -> None:
    """Raise `DatabaseError` if something between us and PostgreSQL hands out its own sessions.

    A pooler such as PgBouncer makes up the process id that a client gets at its start. With a pool per
    transaction, settings and snapshots would get lost between two statements.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        raise DatabaseError(
            "there is a connection pooler (PgBouncer?) between permafrost and PostgreSQL",
            hint="use PostgreSQL's own port in the connection string, usually 5432 instead of 6432",
        )
