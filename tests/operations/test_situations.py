"""Databases rebuilt small from public bug reports: each comes back as pg_dump and pg_restore by hand bring it back.

Each is a script in `situations/`. Its first lines are comments: `source`, what it is rebuilt from, and as needed

- `major`: the first version of PostgreSQL that has what it needs;
- `preload`: a library that the server has to preload; the test is skipped where it is not installed;
- `warning`, `drill warning`: what a restore, or a drill, has to report;
- `by hand`: `differs`, with the reason, where pg_restore by hand does worse than a restore must.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from permafrost.events import Event, Reporter, Warned, ignore_events
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.drill import DrillRequest, drill
from permafrost.operations.export import ExportRequest, export
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.clients import client_program
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import drop, make_backup, make_restore
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.own_postgresql import OWN_MAJOR
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.stock_programs import load_archive

SITUATIONS = sorted((Path(__file__).parent / "situations").glob("*.sql"))
RESTORED, BY_HAND = "situation_restored", "situation_by_hand"
_HEAD = re.compile(r"^-- ([a-z ]+): (.*)$")


def described(script: Path) -> dict[str, str]:
    """Return what the comments at the head of a situation's script say."""
    found: dict[str, str] = {}
    for line in script.read_text().splitlines():
        if not (match := _HEAD.match(line)):
            break
        found[match.group(1)] = match.group(2)
    return found


def majors(script: Path) -> list[int]:
    """Return the versions on which a situation is tried: the machine's own, or else the newest."""
    head = described(script)
    first, last = int(head.get("major", "0")), int(head.get("until", "99").partition(",")[0])
    if last < OWN_MAJOR:
        return []
    return [OWN_MAJOR] if first <= OWN_MAJOR else [major for major in NEWER_MAJORS if major >= first][:1]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[tuple[int, str], ScratchCluster]]:
    """Servers of the module, by version and preloaded library, made when they are needed."""
    running: dict[tuple[int, str], ScratchCluster] = {}
    yield running
    for cluster in running.values():
        cluster.destroy()


@pytest.fixture
def situation(
    request: pytest.FixtureRequest,
    servers: dict[tuple[int, str], ScratchCluster],
    server_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The connection string of a database that a situation's script has made, on a server that fits it."""
    script, major = request.param
    head = described(script)
    binaries = None if major == OWN_MAJOR else binaries_or_skip(major)
    if binaries is not None:
        monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    library = head.get("preload", "")
    if library and not Path(f"/usr/lib/postgresql/{major}/lib/{library}.so").exists():
        pytest.skip(f"{library} is not installed for PostgreSQL {major}")
    if (major, library) not in servers:
        settings = {"shared_preload_libraries": library} if library else {}
        cluster = ScratchCluster(server_folder / f"situations-{major}-{library}", binaries=binaries, settings=settings)
        cluster.start()
        servers[major, library] = cluster
    cluster = servers[major, library]
    with temporary_database(cluster, "template0") as conninfo:
        words = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse")
        run("psql", major, f"--dbname={conninfo}", *words, f"--file={script}")
        yield conninfo
        for name in (RESTORED, BY_HAND):
            drop(cluster.conninfo("postgres"), name)


def run(name: str, major: int, *words: str) -> bytes:
    """Run one of PostgreSQL's client programs, which must succeed, and return what it wrote."""
    environment = {**os.environ, "PGOPTIONS": "-c statement_timeout=0"}
    ended = subprocess.run((client_program(name, major), *words), capture_output=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def restored_by_hand(conninfo: str, major: int, folder: Path) -> str:
    """Copy the database by pg_dump and pg_restore, and return the copy's connection string."""
    archive = folder / "by-hand"
    run("pg_dump", major, f"--dbname={conninfo}", "--format=custom", f"--file={archive}")
    with psycopg.connect(conninfo_for(conninfo, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {BY_HAND} TEMPLATE template0")
    copy = conninfo_for(conninfo, dbname=BY_HAND, application_name="by hand")
    load_archive(archive.read_bytes(), copy, major)
    return copy


def contents(conninfo: str, major: int) -> tuple[list[str], list[str]]:
    """Return what pg_dump writes: definitions as they are, rows as a set."""
    definitions = run("pg_dump", major, f"--dbname={conninfo}", "--schema-only").decode()
    rows = run("pg_dump", major, f"--dbname={conninfo}", "--data-only", "--exclude-table-data=pg_catalog.*").decode()
    name = str(conninfo_to_dict(conninfo)["dbname"])
    lines = [line for line in definitions.replace(name, "DATABASE").splitlines() if is_content(line)]
    return lines, sorted(line for line in rows.splitlines() if is_content(line))


def is_content(line: str) -> bool:
    """Return whether a line of pg_dump is more than a comment or a mark of the moment."""
    return bool(line) and not line.startswith(("--", "\\restrict", "\\unrestrict"))


def warnings_of(events: list[Event]) -> str:
    """Return all warnings as one text."""
    return "; ".join(event.message for event in events if isinstance(event, Warned))


def make_drill(server: Server, scratch: Path, report: Reporter) -> None:
    """Drill the newest snapshot."""
    source = Source(server.path, OpeningKey(server.passphrase_file))
    drill(DrillRequest(source, None, scratch, None), report=report, now=datetime.now(UTC))


def make_export(server: Server, scratch: Path, file: Path) -> None:
    """Export the newest snapshot as a script with something in it."""
    source = Source(server.path, OpeningKey(server.passphrase_file))
    request = ExportRequest(source, None, "plain", file, is_sealed=False, scratch=scratch)
    export(request, report=ignore_events, now=datetime.now(UTC))
    assert file.stat().st_size > 0


@pytest.mark.parametrize(
    "situation",
    [pytest.param((script, major), id=f"{script.stem}-{major}") for script in SITUATIONS for major in majors(script)],
    indirect=True,
)
def test_situation(
    situation: str,
    make_server: MakeServer,
    tmp_path: Path,
    server_folder: Path,
    request: pytest.FixtureRequest,
    *,
    is_long: bool,
) -> None:
    """It is backed up with an audit and restored; pg_dump says the same as of the copy by hand. Then it is drilled or
    exported, in turn, in a server of its own; in a long run both."""
    script, major = request.node.callspec.params["situation"]
    head = described(script)
    assert head["source"]
    server = make_server(situation, engine="log")
    make_backup(server, is_audited=True)
    events: list[Event] = []
    make_restore(server, RESTORED, report=events.append)
    assert head.get("warning", "") in warnings_of(events)
    assert "warning" in head or not warnings_of(events)
    restored = conninfo_for(situation, dbname=RESTORED, application_name="by hand")
    if "by hand" not in head:
        assert contents(restored, major) == contents(restored_by_hand(situation, major, tmp_path), major)
    else:
        assert contents(restored, major) == contents(situation, major)
    is_exported = SITUATIONS.index(script) % 2 == 0 and "drill warning" not in head
    if is_long or not is_exported:
        events = []
        make_drill(server, server_folder, events.append)
        assert head.get("drill warning", head.get("warning", "")) in warnings_of(events)
    if is_long or is_exported:
        make_export(server, server_folder, tmp_path / "exported.sql")


def test_there_are_enough() -> None:
    """At least two dozen situations are kept, each with its source."""
    assert len(SITUATIONS) >= 24
    assert all(described(script).get("source") for script in SITUATIONS)
