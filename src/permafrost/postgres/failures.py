"""What becomes of a statement that PostgreSQL refuses: the load stops there, or it is noted and the load continues.

Only what PostgreSQL says of a statement and its rows is noted. A server that went away, was asked to stop, or has no
room left would refuse everything that follows too, and always ends the load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from permafrost.errors import DatabaseError

# SQLSTATE (manual, "PostgreSQL Error Codes"): connection, resources, operator intervention, input and output; but not
# 58P01, a library or an extension's file that is not installed
_OF_THE_SERVER = ("08", "53", "57", "58030")
_SAID_BY_PROGRAMS = ("server closed the connection", "connection to server", "No space left on device")


@dataclass(frozen=True, slots=True)
class Failed:
    """A statement that was refused: SQL for psql, in the database's encoding, and the error that it met."""

    statement: bytes
    error: DatabaseError


FailureSink = Callable[[Failed], None]


def stop_at_first(failed: Failed) -> None:
    """Raise the error: the sink of a load that must be whole."""
    raise failed.error


@contextmanager
def failures_to(sink: FailureSink, statement: bytes) -> Iterator[None]:
    """Hand a `DatabaseError` out of the block to the sink, unless it is the server's end."""
    try:
        yield
    except DatabaseError as error:
        if is_the_servers_end(error):
            raise
        sink(Failed(statement, error))


def is_the_servers_end(error: DatabaseError) -> bool:
    """Return whether the server is gone, or can do no more, whatever it is asked."""
    if isinstance(error.__cause__, psycopg.Error):
        return is_of_the_server(error.__cause__)
    return any(said in error.message for said in _SAID_BY_PROGRAMS)


def is_of_the_server(error: psycopg.Error) -> bool:
    """Return whether an error is about the server and not about the statement or its rows."""
    return error.sqlstate is None or error.sqlstate.startswith(_OF_THE_SERVER)
