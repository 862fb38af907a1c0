"""COPY TO STDOUT by libpq's own calls gives what psycopg gives, and ends as well."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from permafrost.postgres.connection import connected
from permafrost.postgres.copy_out import copy_out

ROWS = sql.SQL("COPY (SELECT n, repeat('x', n % 50), chr(10) || 'é' FROM generate_series(1, {}) n) TO STDOUT")


@pytest.mark.parametrize("rows", [0, 1, 20_000])
def test_it_gives_what_psycopg_gives(database: str, rows: int) -> None:
    """The bytes are the same, and every chunk is of whole rows and as large as asked for, but the last."""
    query = ROWS.format(rows)
    with connected(database) as connection:
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            expected = b"".join(bytes(piece) for piece in copy)
        chunks = list(copy_out(connection, query, 10_000))
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert b"".join(chunks) == expected
    assert all(len(chunk) >= 10_000 for chunk in chunks[:-1])
    assert all(chunk.endswith(b"\n") for chunk in chunks)


def test_an_error_before_the_first_row(database: str) -> None:
    """The server's error comes out as psycopg's, and the connection stays usable."""
    with connected(database) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable, match="nowhere"):
            list(copy_out(connection, sql.Composed([sql.SQL("COPY public.nowhere TO STDOUT")]), 1))
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_error_after_many_rows(database: str) -> None:
    """An error in the middle is raised, and never taken for the end of the rows."""
    query = sql.SQL("COPY (SELECT 1 / ({} - n) FROM generate_series(1, 100000) n) TO STDOUT").format(90_000)
    with connected(database) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            list(copy_out(connection, query, 1000))
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_giving_up_half_way(database: str) -> None:
    """A caller that wants no more ends the query, and the connection stays usable."""
    with connected(database) as connection:
        rows = copy_out(connection, ROWS.format(10_000_000), 1000)
        assert next(rows)
        rows.close()  # type: ignore[attr-defined] # it is a generator
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_breaks(database: str) -> None:
    """A server that goes away in the middle is an error."""
    with connected(database) as admin, connected(database) as connection:
        rows = copy_out(connection, ROWS.format(10_000_000), 1000)
        assert next(rows)
        admin.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            list(rows)
