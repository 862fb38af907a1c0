"""The database that a restore works in: extensions that insist on a name, roles that may not create them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from permafrost.errors import RestoreRefusedError
from permafrost.events import Event, Warned
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.drill import DrillRequest, drill
from permafrost.postgres.building.provision import UNFINISHED
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.own_postgresql import OWN_MAJOR
from tests.fixtures.restores import databases
from tests.fixtures.server import MakeServer, Server

NAME = "fediverse"


def execute(conninfo: str, *statements: str) -> None:
    """Run statements, each by itself."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def cron_server(server_folder: Path, make_server: MakeServer) -> Iterator[Server]:
    """A server that preloads pg_cron, which insists on the database of that name, backed up with an audit."""
    if not Path(f"/usr/lib/postgresql/{OWN_MAJOR}/lib/pg_cron.so").exists():
        pytest.skip(f"pg_cron is not installed: Debian's package is postgresql-{OWN_MAJOR}-cron")
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": NAME}
    with ScratchCluster(server_folder / "cron", settings=settings) as cluster:
        execute(cluster.conninfo("postgres"), f"CREATE DATABASE {NAME}")
        url = cluster.conninfo(NAME)
        execute(
            url,
            "CREATE EXTENSION pg_cron",
            "SELECT cron.schedule('nightly', '0 3 * * *', 'VACUUM')",
            "CREATE TABLE accounts AS SELECT i AS id FROM generate_series(1, 100) i",
            "CREATE VIEW jobs AS SELECT jobname FROM cron.job",
        )
        server = make_server(url, engine="log")
        make_backup(server, is_audited=True)
        yield server


def test_extension_that_insists_on_the_final_name(cron_server: Server) -> None:
    """A restore under the name that the extension insists on is loaded there, if nobody has it; its jobs are back."""
    url = cron_server.configuration.database.url
    before = contents_of(url)
    execute(conninfo_for(url, dbname="postgres"), f"DROP DATABASE {NAME} WITH (FORCE)")
    make_restore(cron_server, NAME)
    assert contents_of(url) == before
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT jobname, schedule FROM cron.job").fetchall() == [("nightly", "0 3 * * *")]
    assert databases(url) == [NAME, "postgres", "template0", "template1"]


def test_extension_that_insists_on_another_name(cron_server: Server) -> None:
    """Under another name, or with --replace, the restore is refused before anything is loaded, and says what to do."""
    url = cron_server.configuration.database.url
    names = databases(url)
    with pytest.raises(RestoreRefusedError, match="pg_cron in elsewhere") as caught:
        make_restore(cron_server, "elsewhere")
    assert "the unfinished one was dropped" in caught.value.unchanged
    with pytest.raises(RestoreRefusedError) as caught:
        make_restore(cron_server, NAME, replaces=True)
    assert f"rename {NAME} and restore without --replace" in caught.value.hint
    assert databases(url) == names


def test_drill_without_an_extension(cron_server: Server, server_folder: Path) -> None:
    """A drill leaves out what its server refuses to create, with what depends on it, says so, and proves the rest."""
    events: list[Event] = []
    source = Source(cron_server.path, OpeningKey(cron_server.passphrase_file))
    result = drill(DrillRequest(source, None, server_folder, None), report=events.append, now=datetime.now(UTC))
    (warned,) = [event.message for event in events if isinstance(event, Warned)]
    assert "the extension pg_cron is left out" in warned
    assert result.rows == 100


def test_extension_for_superusers_only(database: str, make_server: MakeServer) -> None:
    """A role that may not create an extension is refused at the first look at the server, with the way out."""
    execute(database, "CREATE EXTENSION pg_stat_statements", "CREATE EXTENSION pg_trgm")
    server = make_server(database, engine="log")
    make_backup(server)
    execute(database, "DROP ROLE IF EXISTS no_superuser", "CREATE ROLE no_superuser LOGIN CREATEDB")
    weak = conninfo_for(database, user="no_superuser")
    with pytest.raises(
        RestoreRefusedError, match="only a superuser may create the extension pg_stat_statements"
    ) as caught:
        make_restore(server, "refused_here", server_conninfo=weak)
    assert "--server" in caught.value.hint
    assert "refused_here" not in databases(database)
    execute(database, "DROP ROLE no_superuser")


def test_killed_under_the_final_name(database: str, make_server: MakeServer) -> None:
    """What a restore left unfinished under the final name is dropped by the next one, not taken for a database."""
    execute(database, "CREATE TABLE accounts AS SELECT i AS id FROM generate_series(1, 10) i")
    server = make_server(database, engine="log")
    make_backup(server)
    admin = conninfo_for(database, dbname="postgres")
    execute(admin, "CREATE DATABASE killed_here", f"COMMENT ON DATABASE killed_here IS '{UNFINISHED}'")
    assert make_restore(server, "killed_here").rows == 10
    drop(database, "killed_here")
