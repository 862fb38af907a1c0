"""Every kind of object that pg_dump knows comes back as pg_dump and pg_restore themselves would bring it back."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.clients import client_of, client_program
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.commands import command_with_clients
from tests.fixtures.every_kind import ROLES, unsubscribe
from tests.fixtures.own_postgresql import OWN_MAJOR
from tests.fixtures.server import MakeServer

HERE = Path(__file__).parent
RESTORED, EXPECTED = "every_kind_restored", "every_kind_expected"
# a subscription and a foreign table make sense in one database only, and publications need wal_level = logical to warn
VOLATILE = re.compile(r"^(\\(un)?restrict .*|--.*|)$", re.MULTILINE)


@pytest.fixture
def every_kind(cluster: ScratchCluster, database: str) -> Iterator[str]:
    """A database with every kind of object, and the roles that they belong to."""
    if OWN_MAJOR < 15:
        pytest.skip("the database has objects that PostgreSQL 15 was the first to know")
    if client_of("pg_restore", OWN_MAJOR).major >= 17 > OWN_MAJOR:
        pytest.skip("by itself, no pg_restore here can restore to this server, so there is nothing to compare with")
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES:  # they stay: what they own in databases that tests drop cannot all be told
            if role not in there:
                connection.execute(f"CREATE ROLE {role}")
    run(database, HERE / "every_kind.sql")
    yield database
    for name in (RESTORED, EXPECTED):
        unsubscribe(conninfo_for(database, dbname=name))
        drop(database, name)
    unsubscribe(database)


def run(conninfo: str, script: Path) -> None:
    """Run a script with psql, which must not meet an error."""
    program("psql", conninfo, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}")


def program(name: str, conninfo: str, *words: str) -> bytes:
    """Run one of PostgreSQL's own programs on a database, and return what it wrote."""
    argv = (client_program(name, OWN_MAJOR), f"--dbname={conninfo}", *words)
    ended = subprocess.run(argv, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def described(conninfo: str, *words: str) -> list[str]:
    """Return what pg_dump says of a database's objects, a statement an entry."""
    text = program("pg_dump", conninfo, "--schema-only", "--create", *words).decode()
    text = text.replace(str(conninfo_to_dict(conninfo)["dbname"]), "DATABASE")
    return [statement.strip() for statement in VOLATILE.sub("", text).split(";\n\n") if statement.strip()]


def large_objects(conninfo: str) -> list[tuple[object, ...]]:
    """Return number, content, owner and grants of every large object."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute(
            """SELECT oid::int8, lo_get(oid), lomowner::regrole::text, lomacl::text
            FROM pg_largeobject_metadata ORDER BY 1"""
        ).fetchall()


def sequences(conninfo: str) -> list[tuple[object, ...]]:
    """Return every sequence's value."""
    with psycopg.connect(conninfo) as connection:
        names = connection.execute("SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences ORDER BY 1")
        return [
            (name, *connection.execute(f"SELECT last_value, is_called FROM {name}").fetchone())  # type: ignore[misc]
            for (name,) in names.fetchall()
        ]


def restored_by_pg_restore(conninfo: str, folder: Path, *words: str) -> str:
    """Dump and restore the database by PostgreSQL's own programs, and return the copy's connection string."""
    archive = folder / "archive"
    program("pg_dump", conninfo, "--format=custom", f"--file={archive}")
    with psycopg.connect(conninfo_for(conninfo, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {EXPECTED} TEMPLATE template0")
    copy = conninfo_for(conninfo, dbname=EXPECTED)
    program("pg_restore", copy, "--exit-on-error", *words, str(archive))
    archive.unlink()
    return copy


def compare(conninfo: str, folder: Path, without: str = "nothing") -> None:
    """Compare what permafrost has restored with what pg_dump and pg_restore make of the same database.

    Statements `without` which it may be are not expected.
    """
    expected = restored_by_pg_restore(conninfo, folder)
    found = conninfo_for(conninfo, dbname=RESTORED)
    objects = [statement for statement in described(expected) if without not in statement]
    assert len(objects) > 250
    assert described(found) == objects
    assert contents_of(found) == contents_of(expected) == contents_of(conninfo)
    assert large_objects(found) == large_objects(expected)
    assert sequences(found) == sequences(expected)
    with psycopg.connect(found) as connection:
        views = "SELECT matviewname, ispopulated FROM pg_matviews ORDER BY 1"
        assert dict(connection.execute(views).fetchall()) == {
            "filled": True,
            "filled_again": True,
            "not_filled": False,
            "of_a_late_view": True,
        }
    for copy in (found, expected):
        unsubscribe(copy)
    drop(conninfo, RESTORED)
    drop(conninfo, EXPECTED)


@pytest.mark.parametrize("engine", ["log", "dump"])
def test_every_kind_comes_back(
    every_kind: str, make_server: MakeServer, tmp_path: Path, engine: Literal["log", "dump"]
) -> None:
    """At first, and after an hour that altered everything: pg_dump says the same of both copies, rows are equal."""
    server = make_server(every_kind, engine=engine)
    make_backup(server, is_audited=True)
    make_restore(server, RESTORED)
    compare(every_kind, tmp_path)
    run(every_kind, HERE / "every_kind_changes.sql")
    make_backup(server, is_audited=True)
    make_restore(server, RESTORED)
    compare(every_kind, tmp_path)


@pytest.mark.skipif(OWN_MAJOR > 16, reason="every client program here is known to the machine's own server")
@pytest.mark.parametrize(("engine", "major"), [("log", 17), ("dump", 18)])
def test_programs_newer_than_the_server_suffice(
    every_kind: str, make_server: MakeServer, tmp_path: Path, engine: Literal["log", "dump"], major: int
) -> None:
    """Where only newer client programs are installed, the same comes back to the older server, settings left out."""
    server = make_server(every_kind, engine=engine)
    configuration = str(server.write_configuration())
    backup = command_with_clients(major, "backup", "--audit", "--config", configuration)
    assert backup.returncode == 0, backup.stderr
    assert f"pg_dump {major}" in backup.stderr
    admin = conninfo_for(every_kind, dbname="postgres")
    words = ("latest", "--database", RESTORED, "--server", admin, "--runbook", str(tmp_path / "runbook"))
    restored = command_with_clients(major, "restore", *words, "--config", configuration)
    assert restored.returncode == 0, restored.stderr
    assert "run it yourself, perhaps as a superuser: CREATE SUBSCRIPTION idle" in restored.stderr  # by an option's name
    compare(every_kind, tmp_path, without=" SUBSCRIPTION ")
