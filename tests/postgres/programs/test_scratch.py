from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from permafrost.errors import DatabaseError, ToolError
from permafrost.postgres.programs.binaries import server_binaries
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.processes.daemon import Daemon
from permafrost.processes.program import Program
from permafrost.processes.run import run
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.other_user import OTHER_USER, as_other_user, as_root
from tests.fixtures.syncthing import wait_for


@pytest.fixture
def own_cluster(server_folder: Path) -> Iterator[ScratchCluster]:
    """A cluster that the test may stop and break."""
    with ScratchCluster(server_folder / "own") as running:
        yield running


def test_a_cluster_is_utf8_and_leaves_nothing(server_folder: Path) -> None:
    """A cluster is UTF8 with C.UTF-8, and after its block neither files nor processes remain."""
    folder = server_folder / "gone"
    with ScratchCluster(folder) as cluster, psycopg.connect(cluster.conninfo("postgres")) as connection:
        row = connection.execute(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype "
            "FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        pid = cluster.pid
        tcp = connection.execute("SHOW listen_addresses").fetchone()
    assert row == ("UTF8", "C.UTF-8", "C.UTF-8")
    assert tcp == ("",)
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert list(cluster._leftovers()) == []


def test_stop_and_start_keep_the_data(own_cluster: ScratchCluster) -> None:
    """Data is there again after a clean restart and after one that is like a crash."""
    with psycopg.connect(own_cluster.conninfo("postgres")) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    own_cluster.restart()
    with psycopg.connect(own_cluster.conninfo("postgres")) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
    own_cluster.restart("immediate")
    with psycopg.connect(own_cluster.conninfo("postgres")) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


def test_leftovers_of_a_killed_run_are_ended(server_folder: Path) -> None:
    """A server left running by a killed process is ended by the next use of its folder; the data stays."""
    folder = server_folder / "left"
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom permafrost.postgres.programs.scratch import ScratchCluster\n"
        "ScratchCluster(Path(sys.argv[1])).start()\ntime.sleep(600)\n"
    )
    owner = Daemon(Program((sys.executable, "-c", script, str(folder))), server_folder / "owner.log")
    cluster = ScratchCluster(folder)
    try:
        _wait_for_server(cluster)
        with psycopg.connect(cluster.conninfo("postgres")) as connection:
            connection.execute("CREATE TABLE kept ()")
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait(10)
        left = set(cluster._leftovers())
        assert left
        cluster.start()
        assert not left & set(cluster._leftovers())
        with psycopg.connect(cluster.conninfo("postgres")) as connection:
            assert connection.execute("SELECT * FROM kept").fetchall() == []
    finally:
        owner.end()
        cluster.destroy()
    assert not folder.exists()


def test_a_killed_server_starts_again(own_cluster: ScratchCluster) -> None:
    """After kill -9 of the server itself, start brings it back although its lock files remain."""
    os.kill(own_cluster.pid, signal.SIGKILL)
    own_cluster.restart()
    psycopg.connect(own_cluster.conninfo("postgres")).close()


def test_a_long_path_still_gets_a_socket(server_folder: Path) -> None:
    """A folder whose path is too long for a unix socket gets its socket elsewhere, and removes it again."""
    folder = server_folder / ("deep" * 15) / ("deeper" * 10)
    folder.parent.mkdir(mode=0o711)
    with ScratchCluster(folder) as cluster:
        elsewhere = cluster.socket_folder
        assert not elsewhere.is_relative_to(server_folder)
        psycopg.connect(cluster.conninfo("postgres")).close()
    assert not elsewhere.exists()


@as_root
def test_other_users_cannot_connect(own_cluster: ScratchCluster) -> None:
    """Another user of the machine can neither reach the socket nor list the cluster's folder."""
    assert stat.S_IMODE(own_cluster.folder.stat().st_mode) == 0o710
    assert stat.S_IMODE(own_cluster.socket_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(own_cluster.data_folder.stat().st_mode) == 0o700
    tried = run(
        Program(("psql", "-X", "-c", "SELECT 1", own_cluster.conninfo("postgres")), user="nobody"),
        folder=Path("/"),
    )
    assert tried.returncode != 0
    assert "Permission denied" in tried.stderr_tail


def test_tcp_asks_for_the_password(server_folder: Path) -> None:
    """With a TCP port only 127.0.0.1 listens, the pass file opens it, and nothing else does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with ScratchCluster(server_folder / "tcp", tcp_port=port) as cluster:
        psycopg.connect(cluster.tcp_conninfo("postgres")).close()
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(cluster.tcp_conninfo("postgres"), passfile="/dev/null")
        assert stat.S_IMODE(cluster.pass_file.stat().st_mode) == 0o600


def test_a_server_that_does_not_start_says_why(server_folder: Path) -> None:
    """A server that cannot start raises an error that quotes its log, and leaves nothing behind."""
    folder = server_folder / "broken"
    with (
        pytest.raises(DatabaseError, match="shared_buffers"),
        ScratchCluster(folder, settings={"shared_buffers": "nonsense"}),
    ):
        pass
    assert not folder.exists()


@pytest.mark.parametrize("major", [None, *NEWER_MAJORS])
def test_code_in_a_sandboxed_server(server_folder: Path, major: int | None) -> None:
    """Code in a sandboxed server, even its superuser's, starts no program, reads no file, reaches no other server."""
    binaries = binaries_or_skip(major) if major else None
    canary = server_folder / "canary"
    canary.write_text("canary")
    canary.chmod(0o644)
    with (
        ScratchCluster(server_folder / "other") as other,
        ScratchCluster(server_folder / "enclosed", binaries=binaries, is_sandboxed=True) as enclosed,
        psycopg.connect(enclosed.conninfo("postgres"), autocommit=True) as session,
    ):
        session.execute("CREATE TABLE said (line text)")
        for program in ("true", f"cat {canary}", "/usr/bin/id"):
            with pytest.raises(psycopg.Error, match=r"could not execute command|command not found"):
                session.execute(f"COPY said FROM PROGRAM '{program}'")
        with pytest.raises(psycopg.errors.UndefinedFile):
            session.execute(f"SELECT pg_read_file('{canary}')")
        for folder in ("/etc", "/dev", str(server_folder)):
            seen = {name for (name,) in session.execute(f"SELECT pg_ls_dir('{folder}')")}
            assert not seen & {"shadow", "ssl", "permafrost", "canary", "other", "kmsg", "mem"}, folder
        for folder in ("/proc", "/home", "/root", "/run", "/bin"):
            with pytest.raises(psycopg.errors.UndefinedFile):
                session.execute(f"SELECT pg_ls_dir('{folder}')")
        try:
            session.execute("CREATE EXTENSION dblink")
        except psycopg.errors.FeatureNotSupported:
            pass
        else:
            for reached in (other.conninfo("postgres"), "host=127.0.0.1 port=5432"):
                with pytest.raises(psycopg.errors.SqlclientUnableToEstablishSqlconnection):
                    session.execute("SELECT dblink_connect(%s)", (reached,))
        session.execute("ALTER SYSTEM SET archive_command = 'true'")
        pid = enclosed.pid
        enclosed.restart()
        assert enclosed.pid != pid
    assert not (server_folder / "enclosed").exists()
    canary.unlink()


def test_a_sandboxed_server_ends_with_its_starter(server_folder: Path) -> None:
    """After kill -9 of whoever started it nothing of a sandboxed server runs, without a next run."""
    folder = server_folder / "ends"
    script = (
        "import sys\nfrom pathlib import Path\nfrom permafrost.postgres.programs.scratch import ScratchCluster\n"
        "cluster = ScratchCluster(Path(sys.argv[1]), is_sandboxed=True)\ncluster.start()\n"
        "print(cluster.pid, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        (sys.executable, "-c", script, str(folder)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        cluster = ScratchCluster(folder)
        assert pid in cluster._leftovers()
        owner.kill()
    wait_for(lambda: not any(cluster._leftovers()), "the server has ended")
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "init has reaped it")
    cluster.destroy()
    assert not folder.exists()


def test_a_sandboxed_server_gets_no_password(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandboxed server that asks for a password gets none: neither from PGPASSWORD nor from a pass file."""
    passfile = server_folder / "pgpass"
    passfile.write_text("*:*:*:*:from-the-file\n")
    passfile.chmod(0o600)
    with ScratchCluster(server_folder / "asking", is_sandboxed=True) as cluster:
        hba = cluster.folder / "pg_hba.conf"
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as session:
            hba.write_text("local all all password\n")
            session.execute("SELECT pg_reload_conf()")
        monkeypatch.setenv("PGPASSFILE", str(passfile))
        monkeypatch.setenv("PGPASSWORD", "from-the-environment")
        wait_for(lambda: _is_asked(cluster), "the server asks for a password")
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(cluster.conninfo("postgres"))
    passfile.unlink()


def _is_asked(cluster: ScratchCluster) -> bool:
    try:
        psycopg.connect(cluster.conninfo("postgres")).close()
    except psycopg.OperationalError:
        return True
    return False


@as_root
def test_a_folder_of_another_user_is_left_alone(server_folder: Path) -> None:
    """In a folder that another user made, links and all, no server is made, and nothing is removed through it."""
    place, victim = server_folder / "shared-by-all", server_folder / "victim"
    place.mkdir()
    place.chmod(0o1777)
    victim.mkdir()
    (victim / "precious").touch()
    as_other_user(
        "import os, sys\nos.mkdir(sys.argv[1], 0o700)\n"
        "for name in ('socket', 'data', 'data.unfinished'): os.symlink(sys.argv[2], sys.argv[1] + '/' + name)\n"
        "open(sys.argv[1] + '/socket-folder', 'w').write(sys.argv[2] + '/s')",
        place / "theirs",
        victim,
    )
    (place / "linked").symlink_to(victim)
    for folder in (place / "theirs", place / "linked"):
        cluster = ScratchCluster(folder)
        with pytest.raises(ToolError, match="not a folder of permafrost's own"):
            cluster.start()
        cluster.destroy()
    assert (victim / "precious").exists()
    assert {path.name for path in (place / "theirs").iterdir()} == {
        "socket",
        "data",
        "data.unfinished",
        "socket-folder",
    }
    assert (place / "theirs").owner() == OTHER_USER.pw_name
    assert (place / "linked").is_symlink()


@as_root
def test_root_writes_nothing_where_the_server_can(own_cluster: ScratchCluster) -> None:
    """All that root writes lies in a folder that the server's user cannot write to, so it cannot lay links there."""
    assert own_cluster.folder.owner() == "root"
    assert own_cluster.data_folder.owner() == own_cluster.socket_folder.owner() == "postgres"
    theirs = [path for path in own_cluster.data_folder.rglob("*") if path.owner() != "postgres"]
    assert theirs == []


@as_root
def test_an_unreachable_folder_is_named(tmp_path: Path) -> None:
    """Below a folder that the server's user may not enter, the error names folder and user."""
    tmp_path.chmod(0o700)
    with pytest.raises(ToolError, match="postgres cannot access the folder"), ScratchCluster(tmp_path / "db"):
        pass


def test_a_missing_major_version_is_named() -> None:
    """Asking for a server version that is not installed raises an error that names its package."""
    with pytest.raises(ToolError, match="version 7") as caught:
        server_binaries(7)
    assert "postgresql-7" in caught.value.hint


def _wait_for_server(cluster: ScratchCluster) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(cluster.conninfo("postgres")).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, cluster.log_tail()
        else:
            return
