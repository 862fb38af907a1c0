"""Statements that a role or a server may not be able to run, and without which a database is still worth having.

Publications and event triggers may need a superuser, security labels the module that checks them. What is refused is
left out and reported with the command for a superuser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.error_text import first_line
from permafrost.postgres.programs.sql_script import split_statements

_FORBIDDEN = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.InvalidParameterValue,  # a security label's provider that is not loaded
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.ConfigFileError,
    psycopg.errors.SyntaxError,  # an option of a subscription that an older server does not know
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement that the server refused, ready for psql, and its reason."""

    statement: str
    reason: str


def run_guarded(
    conninfo: str, script: bytes, doing: str, forbidden: tuple[type[psycopg.Error], ...] = _FORBIDDEN
) -> Sequence[Refused]:
    """Run pg_restore's script, and return the statements that were refused, with those that need what is missing then.

    Raise `DatabaseError`, which says what was being done, for every failure that is none of the `forbidden` ones.
    """
    refused: list[Refused] = []
    with connected(conninfo) as session, database_errors(doing):
        for statement in split_statements(script):
            try:
                session.execute(statement)
            except forbidden as error:
                if session.closed:
                    raise
                refused.append(Refused(_readable(statement), first_line(error)))
            except psycopg.errors.UndefinedObject as error:
                if not refused:
                    raise
                refused.append(Refused(_readable(statement), first_line(error)))
    return refused


def _readable(statement: bytes) -> str:
    return " ".join(statement.decode("utf-8", "replace").split())
