"""The properties that a database gets after it is created: settings, connection limit, grants, labels, comment.

They come last, when everything is loaded, so nothing here may end a restore: what the server or the role does not
allow is left out and reported with the command that would do it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.errors import DatabaseError
from permafrost.postgres.building.guarded import Refused
from permafrost.postgres.catalog import Grant
from permafrost.postgres.connection import database_errors
from permafrost.postgres.error_text import first_line

# settings whose value is a list: quoting it whole would make one element of it (pg_dump's variable_is_guc_list_quote)
_LIST_SETTINGS = frozenset(
    [
        *("local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries"),
        *("temp_tablespaces", "unix_socket_directories"),
    ]
)
_LIST_ELEMENT = re.compile(r'"(?:[^"]|"")*"|[^,\s"]+')


@dataclass(frozen=True, slots=True)
class DatabaseProperties:
    """What `apply_properties` gives a database.

    `settings` are role ("" for all), name and value; `grants` None for PostgreSQL's default ones, with `owner` who then
    has nothing but what is granted; `security_labels` providers and labels.
    """

    comment: str | None
    settings: Sequence[tuple[str, str, str]] = ()
    owner: str | None = None
    grants: Sequence[Grant] | None = None
    connection_limit: int | None = None
    security_labels: Sequence[tuple[str, str]] = ()


def apply_properties(
    connection: psycopg.Connection, name: str, properties: DatabaseProperties, final_name: str
) -> list[Refused]:
    """Give the database its properties, and return the statements that the server refused.

    `final_name` is the name that those statements have to use later.
    """
    refused = []
    here, later = sql.Identifier(name), sql.Identifier(final_name)
    for statement in _statements(properties):
        try:
            with connection.transaction():
                connection.execute(statement.format(database=here))
        except psycopg.Error as error:
            if connection.closed:
                with database_errors(f"cannot set the properties of the database {name}"):
                    raise
            refused.append(Refused(statement.format(database=later).as_string(connection) + ";", first_line(error)))
    return refused


def make_template(connection: psycopg.Connection, name: str) -> list[Refused]:
    """Let the database be a template, which cannot be dropped any more; return the statement if it was refused."""
    statement = sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(name))
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return [Refused(statement.as_string(connection) + ";", first_line(error))]
    return []


def _statements(properties: DatabaseProperties) -> Iterator[sql.SQL]:
    """Yield what is to be done, with {database} in the place of its name."""
    for role, setting, value in properties.settings:
        whose = f"ROLE {_quoted(role)} IN DATABASE {{database}}" if role else "DATABASE {database}"
        yield _sql(f"ALTER {whose} SET {_setting(setting)} TO {_value(setting, value)}")
    if properties.connection_limit is not None:
        yield _sql(f"ALTER DATABASE {{database}} CONNECTION LIMIT {properties.connection_limit:d}")
    if properties.grants is not None:
        yield from _grants(properties.owner, properties.grants)
    for provider, label in properties.security_labels:
        yield _sql(f"SECURITY LABEL FOR {_quoted(provider)} ON DATABASE {{database}} IS {_literal(label)}")
    text = "NULL" if properties.comment is None else _literal(properties.comment)  # NULL removes it
    yield _sql(f"COMMENT ON DATABASE {{database}} IS {text}")


def _grants(owner: str | None, grants: Sequence[Grant]) -> Iterator[sql.SQL]:
    """Yield the grants, those of the owner first; another's are made in their name, as pg_dump does."""
    yield _sql("REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    if owner is not None:
        yield _sql(f"REVOKE ALL ON DATABASE {{database}} FROM {_quoted(owner)}")
    for grant in grants:
        grantee = _quoted(grant.grantee) if grant.grantee else "PUBLIC"
        option = " WITH GRANT OPTION" if grant.is_grantable else ""
        statement = f"GRANT {_privilege(grant.privilege)} ON DATABASE {{database}} TO {grantee}{option}"
        if grant.grantor in (None, owner):
            yield _sql(statement)
        else:
            yield _sql(f"SET LOCAL ROLE {_quoted(str(grant.grantor))}; {statement}; RESET ROLE")


def _sql(text: str) -> sql.SQL:
    """Return SQL made of parts that are quoted already; braces in those are doubled by `_quoted` and `_literal`."""
    return sql.SQL(text)


def _quoted(name: str) -> str:
    return '"' + _kept_braces(name).replace('"', '""') + '"'


def _literal(text: str) -> str:
    escape = " E" if "\\" in text else ""
    return escape + "'" + _kept_braces(text).replace("\\", "\\\\").replace("'", "''") + "'"


def _kept_braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _setting(name: str) -> str:
    return ".".join(_quoted(part) for part in name.split("."))


def _value(setting: str, value: str) -> str:
    if setting.lower() not in _LIST_SETTINGS:
        return _literal(value)
    parts = [part[1:-1].replace('""', '"') if part[0] == '"' else part for part in _LIST_ELEMENT.findall(value)]
    return ", ".join(_literal(part) for part in parts) or "''"


def _privilege(name: str) -> str:
    if name not in ("CREATE", "CONNECT", "TEMPORARY"):
        raise DatabaseError(f"{name!r} is not a privilege on a database")
    return name
