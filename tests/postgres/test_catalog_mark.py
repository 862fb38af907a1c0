"""The mark that tells whether pg_dump would write the same definitions again."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from permafrost.postgres.catalog_mark import catalog_mark
from permafrost.postgres.connection import connected
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.every_kind import ROLES, unsubscribe
from tests.fixtures.own_postgresql import OWN_MAJOR

SCRIPTS = Path(__file__).parents[1] / "operations"
NO_DEFINITION = re.compile(rb"(INSERT|UPDATE|DELETE|TRUNCATE|SELECT|SET|VACUUM|ANALYZE)\s", re.IGNORECASE)


def statements_of(script: Path) -> list[bytes]:
    """Return the statements of a script whose lines end with a semicolon only where a statement does."""
    text = re.sub(rb"^--.*\n", b"", script.read_bytes(), flags=re.MULTILINE)
    return [one for one in re.split(rb"(?<=;)\n+", text) if one.strip()]


def mark(connection: psycopg.Connection) -> str | None:
    """Return the mark, as if the rows of all tables were logged."""
    tables = connection.execute("SELECT oid::int8 FROM pg_catalog.pg_class WHERE relkind = 'r'").fetchall()
    return catalog_mark(connection, [oid for (oid,) in tables])


def test_every_definition_changes_it(cluster: ScratchCluster, database: str) -> None:
    """Each statement that defines, alters, grants, comments or drops anything changes the mark, by itself."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES:
            if role not in there:
                connection.execute(f"CREATE ROLE {role}")
    statements = [
        one
        for script in ("every_kind.sql", "every_kind_changes.sql")
        for one in statements_of(SCRIPTS / script)
        if not re.search(rb"LARGE OBJECT|lo_", one)
    ]
    unnoticed: list[bytes] = []
    tried = 0
    try:
        with psycopg.connect(database, autocommit=True) as session, connected(database) as connection:
            before = mark(connection)
            for statement in statements:
                try:
                    session.execute(statement)
                except psycopg.Error:
                    if OWN_MAJOR >= 15:  # the first to know some definitions of the scripts
                        raise
                    continue
                after = mark(connection)
                assert after is not None
                if not NO_DEFINITION.match(statement):
                    tried += 1
                    if after == before:
                        unnoticed.append(statement)
                before = after
    finally:
        unsubscribe(database)
    assert unnoticed == []
    assert tried > (150 if OWN_MAJOR >= 15 else 100)


def test_rows_and_maintenance_leave_it(mastodon_database: str) -> None:
    """Rows, sequences, VACUUM, freezing and ANALYZE are no definitions."""
    with psycopg.connect(mastodon_database, autocommit=True) as session, connected(mastodon_database) as connection:
        before = mark(connection)
        for statement in (
            "UPDATE accounts SET updated_at = now()",
            "DELETE FROM mentions",
            "SELECT nextval('accounts_id_seq')",
            "ANALYZE",
            "VACUUM",
            "VACUUM FREEZE",
            "VACUUM ANALYZE pg_catalog.pg_class",
        ):
            session.execute(statement)
            assert mark(connection) == before, statement


def test_a_renamed_role_changes_it(database: str) -> None:
    """Owners and grants are dumped by name."""
    with psycopg.connect(database, autocommit=True) as session, connected(database) as connection:
        session.execute("CREATE ROLE marked_once")
        before = mark(connection)
        session.execute("ALTER ROLE marked_once RENAME TO marked_twice")
        after = mark(connection)
        session.execute("DROP ROLE marked_twice")
    assert before != after


def test_what_is_said_of_roles_changes_it(database: str) -> None:
    """So does everything that a description of the database says of its roles, by itself."""
    with psycopg.connect(database, autocommit=True) as session, connected(database) as connection:
        session.execute("CREATE ROLE described_once; CREATE ROLE described_group")
        try:
            marks = [mark(connection)]
            for statement in (
                "ALTER ROLE described_once LOGIN",
                "ALTER ROLE described_once SUPERUSER",
                "ALTER ROLE described_once NOINHERIT",
                "ALTER ROLE described_once BYPASSRLS",
                "ALTER ROLE described_once SET work_mem = '5MB'",
                "GRANT described_group TO described_once",
                "GRANT described_group TO described_once WITH ADMIN OPTION",
            ):
                session.execute(statement)
                marks.append(mark(connection))
        finally:
            session.execute("DROP ROLE described_once, described_group")
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize(
    "statement", ["SELECT lo_from_bytea(0, 'an object')", "CREATE TABLE of_pg_dump (names regclass)"]
)
def test_there_is_none_where_pg_dump_has_rows(database: str, statement: str) -> None:
    """Large objects and tables that are not logged may change without any definition's doing so."""
    with psycopg.connect(database, autocommit=True) as session, connected(database) as connection:
        assert catalog_mark(connection, []) is not None
        session.execute(statement)
        assert catalog_mark(connection, []) is None


def test_there_is_none_where_something_is_hidden(database: str) -> None:
    """A role that may not read user mappings has a mark only as long as there are none."""
    with psycopg.connect(database, autocommit=True) as session, connected(database) as connection:
        session.execute("CREATE ROLE sees_little")
        try:
            connection.execute("SET ROLE sees_little")
            assert catalog_mark(connection, []) is not None
            session.execute("CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far")
            session.execute("CREATE USER MAPPING FOR public SERVER away OPTIONS (secret 'x')")
            assert catalog_mark(connection, []) is None
            connection.execute("RESET ROLE")
            assert catalog_mark(connection, []) is not None
        finally:
            connection.execute("RESET ROLE")
            session.execute("DROP ROLE sees_little")
