"""One table out of a snapshot: beside the living tables or as text, equal to the original, of both engines."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from permafrost.errors import RestoreRefusedError
from permafrost.events import ignore_events
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.restore_table import RescuedTable, TableRequest, rescue_table, write_table
from permafrost.postgres.building.provision import UNFINISHED, name_with_suffix
from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.digest import digest_rows
from permafrost.repository.layout import object_name_of_file
from tests.fixtures.backups import contents_of, make_backup
from tests.fixtures.commands import command, json_of
from tests.fixtures.restores import databases
from tests.fixtures.server import MakeServer, Server

HERE = Path(__file__).parent
KINDS = (HERE / "awkward_values.sql").read_text()
CHANGES = (HERE / "awkward_changes.sql").read_text()


def source_of(server: Server) -> Source:
    """Return the source as on disaster day."""
    return Source(server.path, OpeningKey(server.passphrase_file))


def rescue(server: Server, name: str, schema: str = "rescued") -> RescuedTable:
    """Rescue a table of the newest snapshot into the living database."""
    url = server.configuration.database.url
    request = TableRequest(
        source_of(server),
        None,
        name,
        server=conninfo_for(url, dbname="postgres"),
        database=str(conninfo_to_dict(url)["dbname"]),
        schema=schema,
    )
    return rescue_table(request, report=ignore_events, now=datetime.now(UTC))


def columns_of(connection: psycopg.Connection, table: TableName) -> list[tuple[object, ...]]:
    """Return names, types and not-null of a table's columns."""
    return connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated, attcollation FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (table.identifier().as_string(connection),),
    ).fetchall()


@pytest.mark.parametrize("engine", ["log", "dump"])
def test_every_table(database: str, make_server: MakeServer, engine: Literal["log", "dump"]) -> None:
    """Every table of every kind comes back beside the original, equal in rows, types and not null; nothing else moves.

    As text each is what COPY writes of the original.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(KINDS)
        server = make_server(database, engine=engine)
        make_backup(server)
        connection.execute(CHANGES)
        connection.execute("CREATE TABLE classes (id int, c regclass); INSERT INTO classes VALUES (1, 'pg_class')")
        make_backup(server, is_audited=True)
    before = contents_of(database)
    with connected(database) as connection:
        tables = list_tables(connection)
    assert len(tables) > 10
    for number, table in enumerate(tables):
        result = rescue(server, str(table), f'res"cued {number}')
        assert result.is_audited
        with connected(database) as connection:
            original, rescued = digest_rows(connection, table), digest_rows(connection, result.rescued_as)
            assert (rescued.rows, rescued.digest) == (original.rows, original.digest)
            assert columns_of(connection, result.rescued_as) == columns_of(connection, table)
            readable = [str(row[0]) for row in columns_of(connection, table) if not row[3]]
            listed = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, readable)))
            query = sql.SQL("COPY {} {} TO STDOUT").format(table.identifier(), listed if readable else sql.SQL(""))
            with connection.cursor().copy(query) as copy:
                lines = sorted(b"".join(bytes(chunk) for chunk in copy).splitlines(keepends=True))
        written: list[bytes] = []
        write_table(source_of(server), None, str(table), written.append, ignore_events, datetime.now(UTC))
        assert sorted(b"".join(written).splitlines(keepends=True)) == lines
    assert [one for one in contents_of(database) if not one.table.schema.startswith('res"cued')] == before
    assert not [name for name in databases(database) if "permafrost" in name]


def test_the_database_of_definitions(database: str, make_server: MakeServer) -> None:
    """A database of somebody under the name that a rescue needs is refused and left; a killed run's is dropped."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (a int); INSERT INTO notes VALUES (1)")
        server = make_server(database, engine="log")
        make_backup(server)
        name = sql.Identifier(name_with_suffix(connection.info.dbname, "_permafrost_definitions"))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            with pytest.raises(RestoreRefusedError, match="exists and is not permafrost's") as refused:
                rescue(server, "notes")
            assert (refused.value.unchanged, refused.value.hint) == ("everything", "rename it")
            unfinished = sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(UNFINISHED))
            connection.execute(unfinished)
            assert rescue(server, "notes").rows == 1
            assert not [one for one in databases(database) if "permafrost_definitions" in one]
        finally:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))


def test_only_its_own_objects_are_read(mastodon_database: str, make_server: MakeServer) -> None:
    """A table of a log snapshot is read although every object of other tables is gone."""
    server = make_server(mastodon_database, engine="log")
    make_backup(server)
    opened: list[bytes] = []
    write_table(source_of(server), None, "public.accounts", opened.append, ignore_events, datetime.now(UTC))
    script = (
        "import sys; sys.addaudithook(lambda event, args: event == 'open' and str(args[0]).endswith('.gpg') "
        "and print(args[0], file=sys.stderr)); from permafrost.__main__ import run; run()"
    )
    words = ("restore-table", "latest", "--table", "accounts", "--stdout", "--repository", str(server.path))
    finished = subprocess.run(
        [sys.executable, "-c", script, *words, "--passphrase-file", str(server.passphrase_file)],
        capture_output=True,
        check=True,
    )
    assert finished.stdout == b"".join(opened)
    # objects are opened by their names alone, in their opened folders
    read = {line for line in finished.stderr.decode().splitlines() if object_name_of_file(Path(line).name)}
    assert 0 < len(read) < len(list(server.repository.layout.objects.rglob("*.gpg")))


def test_defaults(database: str, make_server: MakeServer) -> None:
    """Defaults come along where the database can have them; those of a sequence or a lost function do not."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE FUNCTION public.gone() RETURNS int LANGUAGE sql AS 'SELECT 7'")
        connection.execute(
            "CREATE TABLE notes (id serial, a int DEFAULT 5, b int DEFAULT public.gone(), c text NOT NULL)"
        )
        connection.execute("INSERT INTO notes (c) VALUES ('x')")
        server = make_server(database, engine="log")
        make_backup(server)
        connection.execute("DROP TABLE notes; DROP FUNCTION public.gone()")
        result = rescue(server, "notes")
        assert result.defaults_left_out == ("id", "b")
        row = connection.execute("INSERT INTO rescued.notes (id, c) VALUES (3, 'y') RETURNING id, a, b, c").fetchone()
    assert row == (3, 5, None, "y")


def test_refused(database: str, make_server: MakeServer) -> None:
    """A table that is there, one that is not in the snapshot, a partitioned one and a lost type are refused whole."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE status_stats (id int); CREATE TYPE mood AS ENUM ('sad')")
        connection.execute("CREATE TABLE moods (m mood); INSERT INTO moods VALUES ('sad')")
        server = make_server(database, engine="log")
        make_backup(server)
        with pytest.raises(RestoreRefusedError, match=r"public\.status_stats already exists in the database"):
            rescue(server, "status_stats", "public")
        with pytest.raises(RestoreRefusedError) as caught:
            rescue(server, "public.status_stat")
        assert "public.status_stats" in caught.value.hint
        assert "partitions" in caught.value.hint
        connection.execute("DROP TABLE moods; DROP TYPE mood")
        with pytest.raises(RestoreRefusedError, match="mood") as caught:
            rescue(server, "moods")
        assert "--stdout" in caught.value.hint
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'rescued'").fetchone() is None


def test_command(mastodon_database: str, make_server: MakeServer) -> None:
    """The command prints the documented keys; words that do not fit together are refused."""
    server = make_server(mastodon_database, engine="log")
    make_backup(server)
    config = ("--config", str(server.write_configuration()))
    name = str(conninfo_to_dict(mastodon_database)["dbname"])
    words = ("restore-table", "latest", "--table", "accounts", "--database", name, "--schema", "rescued", *config)
    done = json_of(*words)
    assert done["rescued_as"] == "rescued.accounts"
    assert command(*words).returncode == 19
    for wrong in ((), ("--stdout",), ("--table", "a"), ("--table", "a", "--stdout", "--database", "x")):
        assert command("restore-table", "latest", *wrong, *config).returncode == 2


@pytest.mark.parametrize("words", [("--table", "accounts"), ("--schema", "rescued"), ("--stdout",)])
def test_restore_names_the_command(words: tuple[str, ...]) -> None:
    """`restore` with the options that it had for one table is a usage error that names restore-table."""
    finished = command("restore", "latest", *words)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "permafrost restore-table" in finished.stderr
