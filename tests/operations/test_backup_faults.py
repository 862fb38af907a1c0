"""What can go wrong in the middle of a backup: no snapshot appears, old ones stay, the next run succeeds."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Configuration
from permafrost.errors import DatabaseError, LockedError, PermafrostError, SpaceError, ToolError
from permafrost.events import Event, Progress, Reporter, ignore_events
from permafrost.operations.backup import back_up
from permafrost.operations.verify import verify
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.objects import put_object
from permafrost.repository.snapshots import list_snapshots
from permafrost.runs import RunRecords
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.proxy import CuttableProxy
from tests.fixtures.server import MakeServer, Server

NOISE = (
    "CREATE TABLE noise AS SELECT i, "
    + " || ".join(f"md5(random()::text || {salt})" for salt in range(8))
    + " AS text FROM generate_series(1, 60000) AS i"
)


@pytest.fixture(scope="module")
def large_template(cluster: ScratchCluster) -> Iterator[str]:
    """A database of some 20 MB that does not compress, so that a dump of it has a middle."""
    with temporary_database(cluster, "template0") as conninfo:
        with psycopg.connect(conninfo) as connection:
            connection.execute(NOISE)
        yield psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]  # type: ignore[misc] # it names one


@pytest.fixture
def large_database(cluster: ScratchCluster, large_template: str) -> Iterator[str]:
    """The connection string of a copy of that database."""
    with temporary_database(cluster, large_template) as conninfo:
        yield conninfo


def at_first_bytes(fault: Callable[[], None]) -> Reporter:
    """Return a reporter that causes `fault` once, when the first sealed bytes have been written."""
    done: list[bool] = []

    def report(event: Event) -> None:
        if isinstance(event, Progress) and not done:
            done.append(True)
            fault()

    return report


def children_named(name: str) -> list[int]:
    """Return our own child processes with that program name."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text()
            except OSError:
                continue
            program, _, rest = fields.partition("(")[2].rpartition(")")
            if program == name and int(rest.split()[1]) == os.getpid():
                found.append(int(folder.name))
    return found


def assert_unharmed(server: Server, expected: list[SnapshotId]) -> None:
    """The repository holds exactly these snapshots, and every byte of it is right."""
    assert list_snapshots(server.repository.layout) == expected
    result = verify(server.path, None, patience=timedelta(0), report=ignore_events, now=datetime.now(UTC))
    assert result.findings == ()


def assert_next_run_succeeds(server: Server, url: str, earlier: list[SnapshotId]) -> None:
    """The next run cleans up, and what it makes restores equal."""
    newest = make_backup(server)
    assert_unharmed(server, [*earlier, newest.snapshot])
    assert list(server.repository.layout.temporary.iterdir()) == []
    result = verify(server.path, None, patience=timedelta(0), report=ignore_events, now=datetime.now(UTC))
    assert result.unreferenced == 0
    try:
        make_restore(server, "after_fault")
        assert contents_of(conninfo_for(url, dbname="after_fault")) == contents_of(url)
    finally:
        drop(url, "after_fault")


def fail(server: Server, report: Reporter, kind: type[PermafrostError]) -> PermafrostError:
    """Run a backup that must fail with `kind`, and return the error."""
    with pytest.raises(kind) as caught:
        back_up(server.configuration, is_audited=False, report=report, now=datetime.now(UTC))
    return caught.value


def test_pg_dump_killed_half_way(large_database: str, make_server: MakeServer) -> None:
    """A pg_dump that dies in the middle publishes nothing, and the error says that it was killed."""
    server = make_server(large_database)
    first = make_backup(server).snapshot

    def kill() -> None:
        (pid,) = children_named("pg_dump")
        os.kill(pid, signal.SIGKILL)

    error = fail(server, at_first_bytes(kill), DatabaseError)
    assert "pg_dump" in error.message
    assert "step 3 of 5" in error.step
    assert "snapshot" in error.unchanged
    assert_unharmed(server, [first])
    assert_next_run_succeeds(server, large_database, [first])


@pytest.mark.parametrize("program", ["zstd", "gpg"])
def test_a_later_program_killed_half_way(large_database: str, make_server: MakeServer, program: str) -> None:
    """A compressor or gpg that dies in the middle is named as the culprit, not pg_dump, which then cannot write."""
    server = make_server(large_database)

    def kill() -> None:
        (pid,) = children_named(program)
        os.kill(pid, signal.SIGKILL)

    error = fail(server, at_first_bytes(kill), ToolError)
    assert error.message.startswith(f"{program} was ended by signal 9")
    assert_unharmed(server, [])


def test_connection_lost_half_way(server_folder: Path, make_server: MakeServer) -> None:
    """A connection cut in the middle publishes nothing; once the network is back the next run succeeds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ScratchCluster(server_folder / "proxied", tcp_port=port) as other:
        with psycopg.connect(other.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE cut")
        with psycopg.connect(other.conninfo("cut")) as connection:
            connection.execute(NOISE)
        with CuttableProxy(port) as proxy:
            server = make_server(other.tcp_conninfo("cut", port=proxy.port))
            error = fail(server, at_first_bytes(proxy.cut), DatabaseError)
            assert "pg_dump did not finish" in error.message
        assert_unharmed(server, [])
        again = make_server(other.conninfo("cut"), name="again")
        assert_next_run_succeeds(again, other.conninfo("cut"), [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB; skipped where we may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk(large_database: str, make_server: MakeServer, small_disk: Path) -> None:
    """A disk that fills up in the middle is told as such; the unfinished object is gone, and room makes it work."""
    server = make_server(large_database, repository_path=small_disk / "repository")
    error = fail(server, ignore_events, SpaceError)
    assert str(small_disk) in error.message
    assert_unharmed(server, [])
    assert list(server.repository.layout.temporary.iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    assert_next_run_succeeds(server, large_database, [])


def start_command(server: Server) -> subprocess.Popen[str]:
    """Start `permafrost backup --json` on its own, and return once it has written its first sealed bytes."""
    command = subprocess.Popen(
        [sys.executable, "-m", "permafrost", "backup", "--json", "--config", str(server.write_configuration())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    for line in command.stderr:
        if json.loads(line)["event"] == "Progress":
            break
    return command


def test_sigterm(large_database: str, make_server: MakeServer) -> None:
    """SIGTERM ends a backup with 143, cleanly: no unfinished file, no program of ours left."""
    server = make_server(large_database)
    first = make_backup(server).snapshot
    with start_command(server) as command:
        command.terminate()
        stdout, _ = command.communicate(timeout=20)
    assert command.returncode == 143
    assert json.loads(stdout)["error"]["code"] == "interrupted"
    assert list(server.repository.layout.temporary.iterdir()) == []
    assert_unharmed(server, [first])
    assert_next_run_succeeds(server, large_database, [first])


def test_kill_9(large_database: str, make_server: MakeServer) -> None:
    """Kill -9 leaves an unfinished file and no snapshot; the lock is free at once and the next run cleans up."""
    server = make_server(large_database)
    first = make_backup(server).snapshot
    with start_command(server) as command:
        command.kill()
        command.communicate(timeout=20)
    assert command.returncode == -signal.SIGKILL
    assert len(list(server.repository.layout.temporary.iterdir())) == 1
    assert_unharmed(server, [first])
    assert_next_run_succeeds(server, large_database, [first])


def test_what_a_run_left(mastodon_database: str, make_server: MakeServer) -> None:
    """What a run stored before it failed goes with the next one; after one that ended well nothing is looked for."""
    server = make_server(mastodon_database)
    first = make_backup(server).snapshot
    layout = server.repository.layout
    orphan = put_object(layout, [b"left by a run"], lambda: None)
    make_backup(server)
    assert layout.object(orphan.name).exists()
    with pytest.raises(DatabaseError):
        back_up(unreachable(server), report=ignore_events, now=datetime.now(UTC))
    assert layout.object(orphan.name).exists()
    make_backup(server)
    assert not layout.object(orphan.name).exists()
    put_object(layout, [b"left by a run"], lambda: None)
    remaining = RunRecords(server.configuration.state.path)
    remaining.begin("prune", datetime.now(UTC))
    newest = make_backup(server).snapshot
    assert not layout.object(orphan.name).exists()
    assert_unharmed(server, [first, *list_snapshots(layout)[1:-1], newest])


def unreachable(server: Server) -> Configuration:
    """Return the server's configuration with a database that does not exist."""
    database = server.configuration.database
    url = conninfo_for(database.url, dbname="not_there")
    return server.configuration.model_copy(update={"database": database.model_copy(update={"url": url})})


def test_two_runs_at_once(mastodon_database: str, make_server: MakeServer) -> None:
    """A second run is refused, and told who holds the repository; the first is not disturbed."""
    server = make_server(mastodon_database)
    with repository_lock(server.repository.layout, "prune", datetime(2026, 11, 23, tzinfo=UTC)):
        error = fail(server, ignore_events, LockedError)
    assert f"prune, process {os.getpid()}, since 2026-11-23" in error.message
    assert_next_run_succeeds(server, mastodon_database, [])


def test_database_not_there(make_server: MakeServer, cluster: ScratchCluster) -> None:
    """A database that does not exist, or a server that does not answer, is a database error with a hint."""
    server = make_server(cluster.conninfo("not_there"))
    error = fail(server, ignore_events, DatabaseError)
    assert "not_there" in error.message
    assert error.hint
    assert_unharmed(server, [])
