"""What `pg_dump --create` writes about a database itself comes back, on every version, or is said."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from permafrost.events import Event, Note, Warned
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.clients import client_program
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import drop, make_backup, make_restore
from tests.fixtures.replication import give_to_server
from tests.fixtures.server import MakeServer

NAME, RESTORED = 'full of "properties" {0}', "properties_restored"
ROLES = ("property_owner", "property_granter", "property_reader")
PROPERTIES = (
    "COMMENT ON DATABASE {database} IS 'it''s {{braces}} and \\backslash'",
    "ALTER DATABASE {database} CONNECTION LIMIT 40",
    "ALTER DATABASE {database} SET search_path TO 'a, b', 'c\"d', public",
    "ALTER DATABASE {database} SET statement_timeout TO '1min'",
    "ALTER DATABASE {database} SET default_transaction_read_only TO on",
    "ALTER DATABASE {database} SET custom.setting TO 'x{{y}}\\z'",
    "ALTER DATABASE {database} SET temp_tablespaces TO ''",
    "ALTER ROLE property_reader IN DATABASE {database} SET work_mem TO '5MB'",
    "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
    "REVOKE CREATE ON DATABASE {database} FROM property_owner",
    "GRANT CONNECT ON DATABASE {database} TO property_granter WITH GRANT OPTION",
    "SET ROLE property_granter; GRANT CONNECT ON DATABASE {database} TO property_reader; RESET ROLE",
    "ALTER DATABASE {database} IS_TEMPLATE true",
)


def execute(conninfo: str, *statements: str, database: str = NAME) -> None:
    """Run statements, each by itself, with the database's name in the place of {database}."""
    with psycopg.connect(conninfo_for(conninfo, dbname="postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(database=sql.Identifier(database)))


def described(conninfo: str, name: str) -> list[str]:
    """Return what pg_dump writes about the database itself."""
    with psycopg.connect(conninfo) as connection:
        major = connection.info.server_version // 10000
    conninfo = conninfo_for(conninfo, dbname=name)
    argv = (client_program("pg_dump", major), "--schema-only", "--create", f"--dbname={conninfo}")
    text = subprocess.run(argv, capture_output=True, check=True, text=True).stdout
    text = text.replace(str(sql.Identifier(name).as_string()), "DATABASE").replace(name, "DATABASE")
    return [line for line in text.splitlines() if line and not line.startswith(("\\", "--"))]


def prepare(cluster: ScratchCluster, url: str) -> None:
    """Make the database with all its properties, a tablespace and the roles."""
    with psycopg.connect(url, autocommit=True) as connection:
        version = connection.info.server_version
        there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        spaces = {row[0] for row in connection.execute("SELECT spcname FROM pg_tablespace")}
    execute(url, *(f"CREATE ROLE {role}" for role in ROLES if role not in there))
    if "property_space" not in spaces:
        place = cluster.folder.parent / f"space-{version}"
        place.mkdir(mode=0o700)
        give_to_server(cluster, place)
        execute(url, f"CREATE TABLESPACE property_space LOCATION '{place}'")
    rules = " ICU_RULES '&a < g'" if version >= 160000 else ""
    locale = f"LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'{rules} LOCALE 'C.UTF-8'"
    create = f"CREATE DATABASE {{database}} TEMPLATE template0 {locale} TABLESPACE property_space OWNER property_owner"
    execute(url, create)
    source = conninfo_for(url, dbname=NAME)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("CREATE TABLE words AS SELECT * FROM (VALUES ('a'), ('g'), ('h')) AS w (word)")
    execute(url, *PROPERTIES)


def test_all_properties_come_back(cluster: ScratchCluster, make_server: MakeServer) -> None:
    """On the machine's own version."""
    check(cluster, make_server)


def test_all_properties_come_back_on_newer_servers(newer_cluster: ScratchCluster, make_server: MakeServer) -> None:
    """On newer versions, where ICU collations can have rules."""
    check(newer_cluster, make_server)


def check(cluster: ScratchCluster, make_server: MakeServer) -> None:
    """Back the database up and restore it; pg_dump says the same of both."""
    url = cluster.conninfo("postgres")
    try:
        prepare(cluster, url)
        server = make_server(conninfo_for(url, dbname=NAME), engine="log")
        make_backup(server, is_audited=True)
        warnings: list[Event] = []
        make_restore(server, RESTORED, report=warnings.append)
        assert [event for event in warnings if isinstance(event, Warned)] == []
        before = described(url, NAME)
        assert any("CONNECTION LIMIT" in line for line in before)
        assert described(url, RESTORED) == before
    finally:
        for name in (NAME, RESTORED):
            with suppress(psycopg.errors.InvalidCatalogName):
                execute(url, "ALTER DATABASE {database} IS_TEMPLATE false", database=name)
            execute(url, "DROP DATABASE IF EXISTS {database} WITH (FORCE)", database=name)


def test_builtin_collation_comes_back(newer_cluster: ScratchCluster, make_server: MakeServer) -> None:
    """A database of the builtin provider is one again."""
    url = newer_cluster.conninfo("postgres")
    execute(url, "CREATE DATABASE {database} TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'")
    try:
        server = make_server(conninfo_for(url, dbname=NAME), engine="log")
        make_backup(server)
        make_restore(server, RESTORED)
        assert any("LOCALE_PROVIDER = builtin" in line for line in described(url, NAME))
        assert described(url, RESTORED) == described(url, NAME)
    finally:
        for name in (NAME, RESTORED):
            execute(url, "DROP DATABASE IF EXISTS {database} WITH (FORCE)", database=name)


def test_what_the_restoring_role_may_not_set_is_left_out(database: str, make_server: MakeServer) -> None:
    """A setting that only a superuser may make does not end a restore: it is left out, with the command to run."""
    name = conninfo_to_dict(database)["dbname"]
    execute(
        database,
        "ALTER DATABASE {database} SET log_statement TO 'ddl'",
        "ALTER DATABASE {database} SET work_mem TO '5MB'",
        "DROP ROLE IF EXISTS weak_restorer",
        "CREATE ROLE weak_restorer LOGIN CREATEDB",
        "ALTER DATABASE {database} OWNER TO weak_restorer",
        database=str(name),
    )
    server = make_server(database, engine="log")
    make_backup(server)
    events: list[Event] = []
    make_restore(server, RESTORED, report=events.append, server_conninfo=conninfo_for(database, user="weak_restorer"))
    warned = "; ".join(event.message for event in events if isinstance(event, Warned))
    assert f'ALTER DATABASE "{RESTORED}" SET "log_statement" TO \'ddl\';' in warned
    with psycopg.connect(conninfo_for(database, dbname=RESTORED)) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
        assert connection.execute("SHOW log_statement").fetchone() == ("none",)
    drop(database, RESTORED)
    drop(database, str(name))
    execute(database, "DROP ROLE weak_restorer")


def test_missing_tablespace(cluster: ScratchCluster, database: str, make_server: MakeServer) -> None:
    """Where a tablespace is missing everything goes into the default one, and a warning says so."""
    place = cluster.folder.parent / "passing"
    place.mkdir(mode=0o700)
    give_to_server(cluster, place)
    execute(database, f"CREATE TABLESPACE passing LOCATION '{place}'")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE fast (id int PRIMARY KEY USING INDEX TABLESPACE passing) TABLESPACE passing")
        connection.execute("INSERT INTO fast SELECT generate_series(1, 100)")
    server = make_server(database, engine="log")
    make_backup(server)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP TABLE fast")
    execute(database, "DROP TABLESPACE passing")
    events: list[Event] = []
    make_restore(server, RESTORED, report=events.append)
    assert any("no tablespace passing" in event.message for event in events if isinstance(event, Warned))
    with psycopg.connect(conninfo_for(database, dbname=RESTORED)) as connection:
        assert connection.execute("SELECT count(*) FROM fast").fetchone() == (100,)
    drop(database, RESTORED)


def test_another_version_of_the_collation_is_said(
    cluster: ScratchCluster, database: str, make_server: MakeServer
) -> None:
    """A database whose collation had another version says so when it is restored."""
    name = str(conninfo_to_dict(database)["dbname"])
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        locale = "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'"
        connection.execute(f'CREATE DATABASE "{name}_icu" TEMPLATE template0 {locale}')
        connection.execute("UPDATE pg_database SET datcollversion = '1.1' WHERE datname = %s", (f"{name}_icu",))
    server = make_server(conninfo_for(database, dbname=f"{name}_icu"), engine="log")
    make_backup(server)
    events: list[Event] = []
    make_restore(server, RESTORED, report=events.append)
    assert any("was version 1.1 and is version" in event.message for event in events if isinstance(event, Note))
    drop(database, RESTORED)
    drop(database, f"{name}_icu")
