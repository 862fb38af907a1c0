"""Code of one role in what another owns is named by config check and before a restore; a Mastodon has none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from permafrost.events import Event, Warned
from permafrost.operations.config_connect import try_connections
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.ownership.foreign_code import ForeignCode, code_run_by_reading, foreign_code
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import drop, make_backup, make_restore
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.own_postgresql import OWN_BINARIES, OWN_MAJOR
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import MakeServer, Server

_LAID = """
    CREATE SCHEMA stranger AUTHORIZATION code_stranger;
    CREATE FUNCTION stranger.yes(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION stranger.same(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
    CREATE FUNCTION stranger.compare(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
    CREATE FUNCTION stranger.on_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION stranger.on_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE FUNCTION stranger.equal(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2 = 0';
    CREATE OPERATOR stranger.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = stranger.equal);
    CREATE OPERATOR CLASS stranger.ints FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
        OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 stranger.compare(int, int);
    CREATE DOMAIN stranger.number AS int CONSTRAINT number_check CHECK (stranger.yes(VALUE));
    CREATE TABLE kept (i int CONSTRAINT by_check CHECK (stranger.yes(i)), made int DEFAULT stranger.same(1),
        d stranger.number, o boolean CONSTRAINT by_operator CHECK (1 OPERATOR(stranger.===) 1));
    CREATE INDEX by_predicate ON kept (i) WHERE stranger.yes(1);
    CREATE INDEX by_expression ON kept ((stranger.same(i)));
    CREATE INDEX by_class ON kept (i stranger.ints);
    CREATE STATISTICS by_statistics ON (stranger.same(i)), i FROM kept;
    CREATE POLICY by_policy ON kept USING (stranger.yes(i));
    CREATE RULE by_rule AS ON DELETE TO kept WHERE stranger.yes(OLD.i) DO NOTHING;
    CREATE TRIGGER by_trigger BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION stranger.on_row();
    CREATE EVENT TRIGGER by_event ON ddl_command_end EXECUTE FUNCTION stranger.on_event();
    CREATE TABLE own (i int CHECK (stranger.yes(i)));
"""
_GIVEN = """
    DO $$ DECLARE f text; BEGIN
        FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'stranger'::regnamespace LOOP
        EXECUTE 'ALTER FUNCTION ' || f || ' OWNER TO code_stranger'; END LOOP; END $$;
    ALTER TABLE own OWNER TO code_stranger;
"""
_CALLED = {
    *{
        ("check", "by_check"),
        ("check", "by_operator"),
        ("domain", "number"),
        ("default", "made"),
        ("policy", "by_policy"),
    },
    *{("index", "by_predicate"), ("index", "by_expression"), ("index", "by_class"), ("statistics", "by_statistics")},
    *{("rule", "by_rule"), ("trigger", "by_trigger"), ("event trigger", "by_event")},
}


def lay(conninfo: str) -> None:
    """Let a stranger's functions be called by everything that can call one, in a table that is not theirs."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SET event_triggers = off" if connection.info.server_version >= 170000 else "SELECT")
        for statement in (_LAID, _GIVEN):
            connection.execute(statement.encode())


@pytest.fixture
def stranger(cluster: ScratchCluster) -> Iterator[None]:
    """A role that owns functions and nothing else."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE code_stranger; CREATE ROLE code_reader LOGIN IN ROLE pg_read_all_data")
        yield
        connection.execute("DROP ROLE code_stranger; DROP ROLE code_reader")


@pytest.mark.parametrize("major", [OWN_MAJOR, *NEWER_MAJORS])
def test_every_kind_of_call_is_found(major: int, server_folder: Path) -> None:
    """Each object that can call a function is found if the function is another role's."""
    binaries = OWN_BINARIES if major == OWN_MAJOR else binaries_or_skip(major)
    with ScratchCluster(server_folder / f"code-{major}", binaries=binaries) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE code_stranger")
        lay(cluster.conninfo("postgres"))
        with psycopg.connect(cluster.conninfo("postgres")) as connection:
            found = foreign_code(connection)
            read = code_run_by_reading(connection)
            assert foreign_code(connection, ["public"]) == [code for code in found if code.kind == "event trigger"]
    assert {(code.kind, code.name) for code in found} == _CALLED
    assert {code.function_owner for code in found} == {"code_stranger"}
    assert {(code.kind, code.name) for code in read} == {one for one in _CALLED if one[0] in ("index", "statistics")}


@pytest.mark.parametrize("role", ["postgres", "mastodon"])
def test_a_mastodon_has_none(mastodon_database: str, role: str) -> None:
    """A normal Mastodon database has no such code, whoever looks."""
    with psycopg.connect(conninfo_for(mastodon_database, user=role)) as connection:
        assert foreign_code(connection) == []
        assert code_run_by_reading(connection) == []


def warnings_of(events: list[Event]) -> list[str]:
    """Return the texts of the warnings about code."""
    return [event.message for event in events if isinstance(event, Warned) and "code of" in event.message]


def checked(server: Server, user: str) -> list[str]:
    """Return what config check --connect warns of for a role."""
    events: list[Event] = []
    database = server.configuration.database
    database = database.model_copy(update={"url": conninfo_for(database.url, user=user)})
    try_connections(server.configuration.model_copy(update={"database": database}), events.append)
    return warnings_of(events)


@pytest.mark.usefixtures("stranger")
def test_it_is_named(cluster: ScratchCluster, make_server: MakeServer) -> None:
    """Config check, and a restore before it makes anything, name whose code runs where."""
    with temporary_database(cluster, "template0") as conninfo:
        server = make_server(conninfo)
        assert checked(server, "postgres") == []
        lay(conninfo)
        foreign, by_reading = checked(server, "postgres")
        assert "code of the role code_stranger, that runs in what others own" in foreign
        assert "check by_check on public.kept calls stranger.yes" in foreign
        assert "and 9 more" in foreign
        assert by_reading.startswith("a backup as postgres, a superuser, may run code of the role code_stranger")
        assert checked(server, "code_reader") == [foreign]
        make_backup(server)
        events: list[Event] = []
        make_restore(server, "code_restored", report=events.append)
        drop(conninfo, "code_restored")
        (said,) = warnings_of(events)
        assert "the snapshot has code of the role code_stranger" in said
        first = next(i for i, event in enumerate(events) if isinstance(event, Warned) and event.message == said)
        made = next(i for i, event in enumerate(events) if "create the database" in str(event))
        assert first < made


def test_a_superusers_function(mastodon_database: str) -> None:
    """A function of a superuser in somebody else's table is named as such."""
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        connection.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        connection.execute("CREATE TRIGGER t BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION f()")
        connection.execute("ALTER TABLE accounts OWNER TO mastodon")
        assert foreign_code(connection) == [
            ForeignCode("trigger", "t", "public.accounts", "mastodon", "public.f", "postgres", is_superusers=True)
        ]
