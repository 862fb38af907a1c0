"""What PostgreSQL says of an error is told: which key, which line, which statement; and never without bounds."""

from __future__ import annotations

import psycopg
import pytest

from permafrost.errors import DatabaseError
from permafrost.postgres.building.index_builds import build_index, read_index_script
from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.error_text import error_text, first_line


def test_a_double_key_is_told(database: str) -> None:
    """An index that cannot be built is told with the key that is double, and with its statement."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE accounts AS SELECT * FROM (VALUES (7, 'user7'), (9, 'USER7')) AS v (id, name)")
    statement = b"CREATE UNIQUE INDEX by_name ON public.accounts USING btree (lower(name));"
    script = read_index_script(database, statement)
    with script.session(database) as session, pytest.raises(DatabaseError) as caught:
        build_index(session, script.builds[0])
    lines = caught.value.message.splitlines()
    assert lines[0] == 'an index cannot be built: could not create unique index "by_name"'
    assert lines[1] == "  DETAIL: Key (lower(name))=(user7) is duplicated."
    assert lines[-1] == f"  STATEMENT: {statement.decode()}"


def test_the_line_of_copy_is_told(database: str) -> None:
    """A row that COPY refuses is told with its line and its column."""
    with connected(database) as connection:
        connection.execute("CREATE TABLE public.numbers (a bigint)")
        with (
            pytest.raises(DatabaseError) as caught,
            database_errors("cannot load rows"),
            connection.cursor() as cursor,
            cursor.copy("COPY public.numbers FROM STDIN") as copy,
        ):
            copy.write(b"1\nx7\n")
    assert '\n  CONTEXT: COPY numbers, line 2, column a: "x7"' in caught.value.message


def test_a_hint_of_postgresql_is_the_hint(database: str) -> None:
    """Where permafrost has no hint of its own, PostgreSQL's is given."""
    with connected(database) as connection, pytest.raises(DatabaseError) as caught, database_errors("cannot ask"):
        connection.execute("SELECT no_such_function(1)")
    assert caught.value.hint.startswith("No function matches the given name")


def test_a_long_statement_is_cut_off(database: str) -> None:
    """However long a row or a statement is, an error stays readable."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE long_ones (a text CHECK (a = ''), b text)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("INSERT INTO long_ones VALUES ('x', repeat('y', 100000))")
    text = error_text(caught.value, "SELECT " + "1," * 100_000)
    assert "long_ones_a_check" in text
    assert len(text) < 2500
    assert text.endswith(" ...")


def test_an_error_that_is_no_servers() -> None:
    """What libpq itself says has a message alone."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect("host=/nowhere-at-all connect_timeout=2")
    assert error_text(caught.value) == first_line(caught.value)
