"""`permafrost run` as a service manager starts it: a process that is watched, stopped, killed and started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.config.loading import load_configuration
from permafrost.processes.proc import descendants, session_members
from permafrost.repository.lock import repository_lock
from permafrost.repository.snapshots import list_snapshots
from permafrost.runs import RunRecords
from permafrost.service.sd_notify import ServiceManager
from permafrost.status.document import status
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import wait_for

RARELY = "0 0 1 1 *"


class Service:
    """A service that was started as systemd does it, with all that it says to systemd and to the journal."""

    def __init__(
        self, server: Server, schedule: dict[str, str | int], folder: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.server = server
        self.syncthing = server.passphrase_file.with_name("syncthing")
        self.config = server.passphrase_file.with_name("permafrost.toml")
        if not self.config.exists():
            lines = [
                f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
                for key, value in schedule.items()
            ]
            self.config = server.write_configuration()
            self.config.write_text(self.config.read_text() + "\n[schedule]\n" + "\n".join(lines) + "\n")
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = folder / f"notify-{os.urandom(4).hex()}"
        self._inbox.bind(str(address))
        self._inbox.setblocking(False)
        self._told: list[str] = []
        self._said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "permafrost", "run", "--config", str(self.config)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NOTIFY_SOCKET": str(address), **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self._said.extend(self.process.stderr)  # line by line, as they come

    @property
    def said(self) -> str:
        """What is in the journal by now."""
        return "".join(self._said)

    @property
    def told(self) -> list[str]:
        """What the service manager was told by now."""
        while True:
            try:
                self._told.append(self._inbox.recv(65536).decode())
            except BlockingIOError:
                return self._told

    @property
    def session(self) -> int | None:
        """Its Syncthing's session, None while there is none."""
        with suppress(OSError, ValueError):
            return int((self.syncthing / "instance.pid").read_text())
        return None

    @property
    def snapshots(self) -> int:
        """How many snapshots there are."""
        return len(list_snapshots(self.server.repository.layout))

    def stop(self) -> int:
        """Stop it as systemd does, and return its exit code; fail if that takes longer than ten seconds."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self._reader.join()
        return code

    def kill(self) -> None:
        """Kill the service, and all that it has started, as systemd does with a control group."""
        below = descendants(self.process.pid)
        self.process.kill()
        for pid in below:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def close(self) -> None:
        """Leave nothing running."""
        if self.process.poll() is None:
            self.stop()
        self._inbox.close()
        if self.process.stderr is not None:
            self.process.stderr.close()


@pytest.fixture
def services() -> Iterator[tuple[Path, list[Service]]]:
    """A folder for sockets, and the services that a test starts, which are ended after it."""
    started: list[Service] = []
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder), started
        for service in started:
            service.close()


def start(services: tuple[Path, list[Service]], server: Server, **schedule: str | int) -> Service:
    """Start a service for the server."""
    service = Service(server, {"audit": "off", "drill": "off", **schedule}, services[0])
    services[1].append(service)
    return service


@contextmanager
def held_up(url: str) -> Iterator[None]:
    """Hold a table so that whoever wants to read it waits."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT min(oid)::regclass::text FROM pg_class WHERE relname = 'accounts'").fetchone()
        assert row is not None
        connection.execute(f"LOCK TABLE {row[0]} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def waits_for_the_table(url: str) -> bool:
    """Return whether somebody waits for a lock."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return bool(row and row[0])


def test_a_life(services: tuple[Path, list[Service]], mastodon_database: str, make_server: MakeServer) -> None:
    """A new server's first backup is made at once; Syncthing that dies comes back; SIGTERM ends all of it within ten
    seconds with 0; started again, nothing is due."""
    server = make_server(mastodon_database)
    service = start(services, server, backup=RARELY)
    wait_for(lambda: "READY=1" in service.told, "it is ready")
    session = service.session
    assert session is not None
    os.kill(min(session_members(session)), signal.SIGKILL)
    wait_for(lambda: service.snapshots == 1 and "backup: snapshot" in service.said, "the first backup is made", 30)
    wait_for(lambda: service.session not in (None, session), "Syncthing is back")
    wait_for(
        lambda: any(re.match(r"STATUS=next backup \d+-01-01 00:00; last backup ", one) for one in service.told), "told"
    )
    fed = service.told.count("WATCHDOG=1")
    wait_for(lambda: service.told.count("WATCHDOG=1") > fed, "the watchdog is fed while there is nothing to do")
    session = service.session
    assert session is not None
    assert service.stop() == 0
    assert service.told[-1] == "STOPPING=1"
    assert service.said.rstrip().endswith("stopped")
    assert "Syncthing died" in service.said
    assert session_members(session) == []

    again = start(services, server)
    wait_for(lambda: any("last backup" in one for one in again.told), "it knows what was done")
    fed = again.told.count("WATCHDOG=1")
    wait_for(lambda: again.told.count("WATCHDOG=1") > fed + 1, "it has looked what is due")
    assert again.snapshots == 1
    assert "backup" not in again.said


def test_stopped_and_killed_in_the_middle(
    services: tuple[Path, list[Service]], mastodon_database: str, make_server: MakeServer
) -> None:
    """SIGTERM in the middle of a backup ends it within ten seconds, even if a program of it hangs; kill -9 is the same
    path. Nothing is published, nothing runs on, and the next start makes the backup."""
    server = make_server(mastodon_database)
    with held_up(mastodon_database):
        service = start(services, server, backup=RARELY)
        wait_for(lambda: waits_for_the_table(mastodon_database), "the backup waits for the table", 30)
        below = descendants(service.process.pid)
        (dump,) = [pid for pid in below if "pg_dump" in Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(dump, signal.SIGSTOP)
        assert service.stop() == 0
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), "all of it has ended", 10)

        killed = start(services, server)
        wait_for(lambda: waits_for_the_table(mastodon_database), "the backup is tried again at once", 30)
        killed.kill()
        assert killed.snapshots == 0
    last = start(services, server)
    wait_for(lambda: last.snapshots == 1, "the backup is made", 30)
    assert "missed" not in last.said


def test_a_job_that_hangs(
    services: tuple[Path, list[Service]], mastodon_database: str, make_server: MakeServer
) -> None:
    """A job that tells nothing for too long is ended and recorded as failed; it is not begun again before its time."""
    server = make_server(mastodon_database)
    with held_up(mastodon_database):
        service = start(services, server, backup=RARELY, hung_after_s=3)
        wait_for(lambda: "produced no output for" in service.said, "it is given up", 40)
        fed = service.told.count("WATCHDOG=1")
        wait_for(lambda: service.told.count("WATCHDOG=1") > fed + 1, "the service goes on")
        assert descendants(service.process.pid) == [
            pid for pid in descendants(service.process.pid) if _is_syncthing(pid)
        ]
    assert service.stop() == 0
    last = RunRecords(server.configuration.state.path).newest("backup")
    assert last is not None
    assert last.outcome == "failed"
    assert "produced no output" in str(last.details["error"])
    kinds = {finding.code for finding in status(load_configuration(service.config), datetime.now(UTC)).findings}
    assert "backup-failed" in kinds


def _is_syncthing(pid: int) -> bool:
    return "syncthing" in Path(f"/proc/{pid}/cmdline").read_text()


def test_what_fails_is_told_and_ends_nothing(services: tuple[Path, list[Service]], make_server: MakeServer) -> None:
    """A repository that is in use makes a backup wait; a database that is down makes it fail: it is told at once and
    recorded, and the service goes on."""
    server = make_server("postgresql:///nowhere?host=/nowhere")
    with repository_lock(server.repository.layout, "backup", datetime.now(UTC)):
        busy = start(services, server, backup=RARELY)
        wait_for(lambda: "another run holds the repository" in busy.said, "it waits", 30)
        assert busy.stop() == 0
    assert RunRecords(server.configuration.state.path).newest("backup") is None
    service = start(services, server)
    wait_for(lambda: "backup failed: cannot connect" in service.said, "the failure is told", 30)
    wait_for(lambda: any("failed" in one for one in service.told), "and in the status line")
    last = RunRecords(server.configuration.state.path).newest("backup")
    assert last is not None
    assert last.outcome == "failed"
    assert service.process.poll() is None


def test_what_was_missed_is_a_finding(
    services: tuple[Path, list[Service]], mastodon_database: str, make_server: MakeServer
) -> None:
    """After some time off, one backup makes up for what was missed; that is told, and is a finding for a day."""
    server = make_server(mastodon_database)
    records = RunRecords(server.configuration.state.path)
    long_ago = datetime.now(UTC) - timedelta(hours=5)
    records.end(records.begin("backup", long_ago), long_ago, "done", details={})
    service = start(services, server, backup="* * * * *")
    wait_for(lambda: service.snapshots >= 1, "a backup is made", 30)
    assert service.stop() == 0
    found = re.search(r"(\d+) runs of backup were missed", service.said)
    assert found is not None
    assert 298 <= int(found[1]) <= 300
    configuration = load_configuration(service.config)
    now = datetime.now(UTC)
    assert "missed-runs" in {finding.code for finding in status(configuration, now).findings}
    assert "missed-runs" not in {finding.code for finding in status(configuration, now + timedelta(days=1)).findings}


def test_an_abstract_address() -> None:
    """A notify socket whose name begins with @ is one of the abstract names, and nobody there is no error."""
    name = f"permafrost-{os.urandom(6).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(f"\0{name}")
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert inbox.recv(100) == b"READY=1"
    ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
    ServiceManager({}).ready()
