"""A provider's server: TLS and a password, no rights beyond one's own databases, tables of the provider's in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as changed
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from permafrost.config.checking import check_files
from permafrost.errors import DatabaseError, RestoreRefusedError
from permafrost.events import ignore_events
from permafrost.findings import FindingKind
from permafrost.loading.preflight import Target
from permafrost.loading.source import Source, opened
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.config_connect import try_connections
from permafrost.operations.restore import RestoreRequest, RestoreResult, restore
from permafrost.postgres.building.provision import unusable_tablespaces
from permafrost.postgres.connection import connected
from permafrost.postgres.digest import digest_rows
from permafrost.repository.manifest import Manifest
from permafrost.status.document import status
from tests.fixtures.backups import contents_of, make_backup
from tests.fixtures.commands import command
from tests.fixtures.managed import ADMIN, DATABASE, PROVIDER, ManagedServer
from tests.fixtures.server import MakeServer, Server

NAME, PREPARED, APPLICATION = "restored_there", "prepared", "fediverse"
EXCLUDED = {"exclude_schemas": ("provider_metrics",), "exclude_tables": ("public.provider_heartbeat",)}
OURS = """
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE TABLE IF NOT EXISTS accounts (id bigserial PRIMARY KEY, username text NOT NULL);
    CREATE INDEX IF NOT EXISTS by_name ON accounts USING gin (username gin_trgm_ops);
    CREATE OR REPLACE VIEW names AS SELECT username FROM accounts;
    CREATE TABLE IF NOT EXISTS follows (account_id bigint REFERENCES accounts, target oid DEFAULT lo_create(0));
    TRUNCATE accounts, follows;
    INSERT INTO accounts (username) SELECT 'somebody ' || i FROM generate_series(1, 500) i;
    INSERT INTO follows SELECT id FROM accounts LIMIT 3;
"""


@pytest.fixture(scope="module")
def ours(managed_server: ManagedServer) -> str:
    """The connection string of the tenant's database, with tables of the tenant's beside the provider's."""
    with psycopg.connect(managed_server.conninfo(), autocommit=True) as connection:
        connection.execute(OURS)
    with psycopg.connect(managed_server.cluster.conninfo("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {APPLICATION} LOGIN")
        superuser.execute(f"GRANT {APPLICATION} TO {ADMIN}")
    return managed_server.conninfo()


@pytest.fixture
def free_name(managed_server: ManagedServer) -> Iterator[str]:
    """The name of a database that is dropped after the test."""
    yield NAME
    with psycopg.connect(managed_server.cluster.conninfo("postgres"), autocommit=True) as superuser:
        superuser.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


def without_the_providers(server: Server) -> Server:
    """Return the server with a configuration that leaves out what is the provider's."""
    database = server.configuration.database.model_copy(update=EXCLUDED)
    return changed(server, configuration=server.configuration.model_copy(update={"database": database}))


def manifest_of(server: Server) -> Manifest:
    """Return the newest snapshot's manifest."""
    with opened(Source(server.path, OpeningKey(server.passphrase_file)), ignore_events) as repository:
        return repository.read(None, datetime.now(UTC), ignore_events).manifest


def run(server: Server, where: str, name: str, **choices: object) -> RestoreResult:
    """Restore the newest snapshot to a server, under a name."""
    target = Target(name, **{"replaces": False, "with_owners": True, **choices})  # type: ignore[arg-type] # its fields
    source = Source(server.path, OpeningKey(server.passphrase_file))
    request = RestoreRequest(source, None, target, server=where)
    return restore(request, report=ignore_events, now=datetime.now(UTC))


def owners(managed: ManagedServer, name: str) -> set[str]:
    """Return the roles that own a table, view, sequence or index in a restored database, and the database itself."""
    with psycopg.connect(managed.cluster.conninfo(name)) as superuser:
        rows = superuser.execute(
            """SELECT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
            UNION SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"""
        )
        return {row[0] for row in rows}


@pytest.mark.parametrize("engine", ["log", "dump"])
def test_what_is_the_providers_is_left_out_and_named(
    ours: str,
    managed_server: ManagedServer,
    make_server: MakeServer,
    free_name: str,
    engine: Literal["log", "dump"],
) -> None:
    """Tables that the role may not read stop a backup; left out by name they do not, and nobody overlooks them."""
    server = make_server(ours, engine=engine)
    with pytest.raises(DatabaseError, match=r"may not read|permission denied") as caught:
        make_backup(server)
    if engine == "log":
        assert "public.provider_heartbeat" in caught.value.message
        assert "exclude_schemas, exclude_tables" in (caught.value.hint or "")
    server = without_the_providers(server)
    assert [*check_files(server.configuration), *try_connections(server.configuration, ignore_events)] == []
    make_backup(server, is_audited=True)
    manifest = manifest_of(server)
    assert [table.name for table in manifest.tables] == ["accounts", "follows"]
    assert manifest.database.excluded_schemas == ("provider_metrics",)
    assert set(manifest.database.excluded_tables or ()) == {
        ("provider_metrics", "numbers"),
        ("provider_metrics", "samples"),
        ("public", "provider_heartbeat"),
        ("public", "provider_heartbeat_id_seq"),
    }
    assert [role.name for role in manifest.database.roles] == [ADMIN]
    assert manifest.database.tablespaces is None
    (finding,) = (
        one for one in status(server.configuration, datetime.now(UTC)).findings if one.kind is FindingKind.EXCLUDED
    )
    assert finding.message == "not in the snapshots, as configured: schema provider_metrics, public.provider_heartbeat"
    assert make_backup(server).rows_new == (0 if engine == "log" else 503)

    with pytest.raises(RestoreRefusedError, match="only a superuser may create the extension pg_stat_statements"):
        run(server, managed_server.conninfo(), free_name)
    result = run(server, managed_server.conninfo(), free_name, without_extensions=("pg_stat_statements",))
    assert (result.rows, bool(result.missing)) == (503, False)
    restored = contents_of(managed_server.conninfo(free_name))
    with connected(ours) as connection:
        assert restored == [digest_rows(connection, table.table) for table in restored]
    assert owners(managed_server, free_name) == {ADMIN}
    if engine == "log":
        restore_into_a_prepared_one(server, managed_server)


def test_the_tablespace_of_shared_catalogs_is_none_of_a_snapshots(ours: str) -> None:
    """pg_global, which older snapshots name and nobody but a superuser may use, is not missed by a restore."""
    with connected(ours) as connection:
        assert unusable_tablespaces(connection, ("pg_global", "ssd")) == ["ssd"]


def restore_into_a_prepared_one(server: Server, managed: ManagedServer) -> None:
    """Let the provider make a database with its extension in it, and restore into that as a role that may make none."""
    with psycopg.connect(managed.cluster.conninfo("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {PREPARED} TEMPLATE template0 OWNER {ADMIN}")
        with psycopg.connect(managed.cluster.conninfo(PREPARED), autocommit=True) as provider:
            provider.execute("CREATE EXTENSION pg_stat_statements")
        superuser.execute(f"ALTER ROLE {ADMIN} NOCREATEDB")
        try:
            where = managed.conninfo(PREPARED)
            result = run(server, where, PREPARED, is_existing=True)
            assert (result.rows, bool(result.missing)) == (503, False)
            assert contents_of(where)[0].rows == 500
            with pytest.raises(RestoreRefusedError, match=r"prepared is not empty: it has public\.accounts"):
                run(server, where, PREPARED, is_existing=True)
        finally:
            superuser.execute(f"ALTER ROLE {ADMIN} CREATEDB")


def test_another_role_than_the_snapshots_owns_everything(
    ours: str,
    managed_server: ManagedServer,
    make_server: MakeServer,
    mastodon_database: str,
    free_name: str,
    tmp_path: Path,
) -> None:
    """A snapshot of a server with other roles restores as a role of this one, which the restoring role may act as."""
    server = make_server(mastodon_database, engine="log")
    make_backup(server, is_audited=True)
    with pytest.raises(RestoreRefusedError, match="the server has no role mastodon"):
        run(server, ours, free_name)
    with pytest.raises(RestoreRefusedError, match=f"{ADMIN} may not act as the role {PROVIDER}"):
        run(server, ours, free_name, with_owners=False, role=PROVIDER)
    key = ("--repository", str(server.path), "--passphrase-file", str(server.passphrase_file))
    words = ("latest", *key, "--database", free_name, "--role", APPLICATION, "--runbook", str(tmp_path / "runbook"))
    ended = command("restore", *words, "--server", ours)  # by the database that it names: nobody is let into postgres
    assert ended.returncode == 0, ended.stderr
    assert f"runs as the role {ADMIN} acting as {APPLICATION}, from which it can return" in ended.stderr
    assert owners(managed_server, free_name) == {APPLICATION}
    assert contents_of(managed_server.conninfo(free_name)) == contents_of(mastodon_database)


def test_the_database_to_connect_to_can_be_named(ours: str, managed_server: ManagedServer) -> None:
    """Where a role may not connect to `postgres`, the error says how to name another database."""
    with (
        pytest.raises(DatabaseError, match='permission denied for database "postgres"') as caught,
        connected(managed_server.conninfo("postgres")),
    ):
        pass
    assert "name another one" in (caught.value.hint or "")
    assert DATABASE in ours
