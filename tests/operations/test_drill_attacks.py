"""Whoever owns the database lays code in it for whoever restores it: a drill and an export give it nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import make_backup
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.own_postgresql import OWN_MAJOR
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import MakeServer, Server

ATTACKS = Path(__file__).with_name("attacks.sql")
_BY_SUPERUSER = """
    CREATE EXTENSION IF NOT EXISTS dblink SCHEMA public;
    CREATE SCHEMA tenant AUTHORIZATION tenant;
    CREATE SCHEMA neighbour AUTHORIZATION neighbour;
    CREATE TABLE neighbour.kept (value int);
    INSERT INTO neighbour.kept VALUES (1), (2);
    ALTER TABLE neighbour.kept OWNER TO neighbour;
    CREATE SCHEMA colleague AUTHORIZATION colleague;
    GRANT neighbour TO colleague;
"""
_BY_COLLEAGUE = "CREATE MATERIALIZED VIEW colleague.seen AS SELECT * FROM neighbour.kept"
_MEMBER_WITHOUT_RIGHTS = "GRANT neighbour TO tenant WITH ADMIN FALSE, INHERIT FALSE, SET FALSE"
_MEMBERSHIP_OPTIONS_SINCE = 160000
_ON_WHAT_THE_TENANT_MADE = """
    CREATE OPERATOR CLASS public.of_tenant FOR TYPE int USING btree AS
        OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
        FUNCTION 1 tenant.compare(int, int);
"""
_EVENT_TRIGGER = "CREATE EVENT TRIGGER attack ON ddl_command_end EXECUTE FUNCTION tenant.on_event()"


@pytest.fixture(scope="module", params=[OWN_MAJOR, *NEWER_MAJORS])
def attacked_by_all(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[tuple[ScratchCluster, str]]:
    """A server, and the connection string of its database, in which a tenant has laid every kind of code that
    PostgreSQL will run."""
    binaries = None if request.param == OWN_MAJOR else binaries_or_skip(request.param)
    with (
        ScratchCluster(server_folder / f"attacked-{request.param}", binaries=binaries) as cluster,
        psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as superuser,
    ):
        superuser.execute("CREATE ROLE tenant LOGIN; CREATE ROLE neighbour LOGIN; CREATE ROLE colleague LOGIN")
        superuser.execute("CREATE ROLE reader LOGIN BYPASSRLS IN ROLE pg_read_all_data")
        with temporary_database(cluster, "template0") as conninfo:
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute(_BY_SUPERUSER)
                if connection.info.server_version >= _MEMBERSHIP_OPTIONS_SINCE:
                    connection.execute(_MEMBER_WITHOUT_RIGHTS)
                with psycopg.connect(conninfo_for(conninfo, user="colleague"), autocommit=True) as colleague:
                    colleague.execute(_BY_COLLEAGUE)
                with psycopg.connect(conninfo_for(conninfo, user="tenant"), autocommit=True) as tenant:
                    tenant.execute(ATTACKS.read_text())
                connection.execute(_ON_WHAT_THE_TENANT_MADE)
                with psycopg.connect(conninfo_for(conninfo, user="tenant"), autocommit=True) as tenant:
                    tenant.execute("CREATE INDEX ON tenant.by_operator_class (value public.of_tenant)")
                connection.execute(_EVENT_TRIGGER)
            yield cluster, conninfo_for(conninfo, user="reader")


@pytest.fixture
def attacked(attacked_by_all: tuple[ScratchCluster, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The connection string of that database; the programs of its server come first on PATH."""
    cluster, conninfo = attacked_by_all
    monkeypatch.setenv("PATH", f"{cluster.binaries}{os.pathsep}{os.environ['PATH']}")
    return conninfo


def traced(trace: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a permafrost command under strace, and return how it ended and every program that was started, or tried."""
    options = ("-f", "--seccomp-bpf", "-s", "400", "-e", "trace=execve,execveat", "-o", str(trace))
    command = ("strace", *options, sys.executable, "-m", "permafrost", *words)
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    return ended, trace.read_text(errors="replace")


def programs_of(trace: str) -> set[str]:
    """Return the names of the programs that were started."""
    return {Path(name).name for name in re.findall(r'execve\("([^"]+)".*= 0$', trace, re.MULTILINE)}


EXPECTED = {
    *("python", "python3", Path(sys.executable).name, Path(sys.executable).resolve().name),
    *("bwrap", "setpriv", "initdb", "postgres", "sh", "locale", "ldconfig"),  # initdb itself starts a shell
    *("gpg", "gpgconf", "gpg-agent", "gpg-connect-agent", "keyboxd", "scdaemon", "dirmngr", "pinentry"),
    *("zstd", "pg_restore", "pg_dump", "test", "uname"),
}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("engine", ["log", "dump"])
def test_a_drill_gives_a_tenant_nothing(
    attacked: str, make_server: MakeServer, server_folder: Path, tmp_path: Path, engine: str
) -> None:
    """A drill of such a database passes; no code of the tenant had a right it has not in the source, or a program.

    A view that its owner may read only as a member of another role is refreshed.
    """
    server = backed_up(attacked, make_server, engine)
    words = ("drill", f"--config={server.write_configuration()}", f"--scratch={server_folder}", "--json")
    ended, trace = traced(tmp_path / "trace", *words)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["missing"] == []
    assert "has reached" not in ended.stderr
    assert "permafrost-attack" not in trace
    assert programs_of(trace) - EXPECTED == set()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_export_gives_a_tenant_nothing(
    attacked: str, make_server: MakeServer, server_folder: Path, tmp_path: Path
) -> None:
    """An export of such a database has the neighbour's rows; no code of the tenant's had a new right or a program."""
    server = backed_up(attacked, make_server, "log")
    out = tmp_path / "out.sql"
    options = (f"--scratch={server_folder}", "--plaintext", "--format=plain", f"--output={out}")
    ended, trace = traced(tmp_path / "trace", "export", "latest", f"--config={server.write_configuration()}", *options)
    assert ended.returncode == 0, ended.stderr
    assert "has reached" not in ended.stderr
    assert "permafrost-attack" not in trace
    assert programs_of(trace) - EXPECTED == set()
    assert "COPY neighbour.kept (value) FROM stdin;\n1\n2\n" in out.read_text()
    assert not re.search(r"^(GRANT|REVOKE).*permafrost_", out.read_text(), re.MULTILINE)


def backed_up(conninfo: str, make_server: MakeServer, engine: str) -> Server:
    """Return a server with an audited snapshot of the database."""
    server = make_server(conninfo, engine=engine)
    make_backup(server, is_audited=True)
    return server
