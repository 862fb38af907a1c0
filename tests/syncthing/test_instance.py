"""One instance per home: started by the first user, ended by the last, mended when it dies, given up loudly."""

from __future__ import annotations

import os
import re
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from permafrost.config.models import Syncthing
from permafrost.errors import ReplicationError
from permafrost.events import Event, Warned
from permafrost.processes.daemon import Daemon
from permafrost.processes.proc import session_members
from permafrost.syncthing.client import Client, UnreachableError
from permafrost.syncthing.dialect import detect_dialect
from permafrost.syncthing.home import prepare_home
from permafrost.syncthing.instance import Instance
from permafrost.syncthing.supervisor import RestartPolicy, Supervisor
from tests.fixtures.syncthing import loopback_settings, wait_for

_QUICK = RestartPolicy(first_s=0.05, longest_s=0.1, attempts=3, settled_s=300.0)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syncthing]:
    """Settings of a home that the module's tests use one after the other."""
    settings = loopback_settings(tmp_path_factory.mktemp("instance") / "home")
    yield settings
    assert not (settings.home / "instance.pid").exists(), "a test left its instance behind"


def _session(instance: Instance) -> int:
    session = instance.session
    assert session is not None
    return session


def test_the_last_user_ends_it(settings: Syncthing) -> None:
    """A second user joins the instance that is up; it stays until both have left, and then nothing of it is left."""
    first, second = Instance(settings, "a"), Instance(settings, "b")
    first.acquire()
    session = _session(first)
    with second.running() as client:
        assert _session(second) == session
        first.release()
        assert client.is_answering()
    assert session_members(session) == []
    with second.client() as client:
        assert not client.is_answering()
    assert first._daemon is not None
    assert first._daemon.wait(1), "its starter reaps it"


def test_a_start_measures_no_implementations(settings: Syncthing) -> None:
    """A start does not spend a second of CPU time on finding out which SHA-256 is the quickest."""
    with Instance(settings, "a").running():
        log = (settings.home / "syncthing.log").read_text()
    assert "syncthing v" in log
    assert "Single thread SHA256 performance" not in log


def test_an_instance_left_by_a_killed_process_is_joined(settings: Syncthing) -> None:
    """A Syncthing whose starter was killed is found, used, and ended by the next user."""
    home = prepare_home(settings, detect_dialect(), "a")
    orphan = Daemon(detect_dialect().serve(home.path), settings.home / "log")
    (settings.home / "instance.pid").write_text(str(orphan.pid))
    try:
        with Client(home.gui, home.api_key) as client:
            wait_for(client.is_answering, "the orphan answers")
        with Instance(settings, "a").running():
            assert orphan.returncode() is None
        assert orphan.wait(5)
    finally:
        orphan.end()


def test_the_number_of_another_process_is_not_taken_for_ours(settings: Syncthing, tmp_path: Path) -> None:
    """A stale instance.pid that now belongs to another program neither ends that program nor passes for ours."""
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "instance.pid").write_text(str(os.getsid(0)))
    bystander = Instance(settings, "a")
    assert not bystander.is_alive()
    del tmp_path


def test_only_the_configured_addresses_listen(settings: Syncthing) -> None:
    """With discovery off, an instance has listening sockets on loopback only, and no UDP socket at all."""
    with Instance(settings, "a").running():
        members = _all_members(settings)
        assert members
        sockets = {name for pid in members for name in _sockets(pid)}
        tcp = [row for row in _rows("tcp") + _rows("tcp6") if row[9] in sockets and row[3] == "0A"]
        udp = [row for row in _rows("udp") + _rows("udp6") if row[9] in sockets]
        assert len(tcp) == 2
        assert {row[1].split(":")[0] for row in tcp} == {"0100007F"}
        assert udp == []


def _all_members(settings: Syncthing) -> list[int]:
    return session_members(int((settings.home / "instance.pid").read_text()))


def _sockets(pid: int) -> set[str]:
    links = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink())
        if target.startswith("socket:["):
            links.add(target.removeprefix("socket:[").removesuffix("]"))
    return links


def _rows(table: str) -> list[list[str]]:
    return [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]


def test_kill_9_is_noticed_and_mended(settings: Syncthing) -> None:
    """Killed with SIGKILL, be it the monitor or its worker, Syncthing is back soon, in one piece, and that is told."""
    told: list[Event] = []
    instance = Instance(settings, "a")
    with Supervisor(instance, told.append, _QUICK, look_s=0.05) as supervisor:
        for restarts, victim in enumerate((min, max), start=1):
            session = _session(instance)
            os.kill(victim(session_members(session)), signal.SIGKILL)
            wait_for(lambda: supervisor.restarts == restarts, "it is started again")  # noqa: B023 - called here
            assert instance.is_answering()
            assert session_members(session) == []
        supervisor.wait(0)
        session = _session(instance)
    assert [type(event) for event in told] == [Warned, Warned]
    assert session_members(session) == []


def test_a_hung_instance_is_replaced(settings: Syncthing) -> None:
    """A Syncthing that is there and does not answer for long enough is ended and started again."""
    told: list[Event] = []
    instance = Instance(settings, "a", answer_s=0.5)
    with Supervisor(instance, told.append, _QUICK, look_s=0.05, hung_after_s=0.2) as supervisor:
        session = _session(instance)
        for pid in session_members(session):
            os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: supervisor.restarts == 1, "it is replaced", 30)
        assert session_members(session) == []
        supervisor.wait(0)
    assert "not answered" in str(told[0])


def test_a_hopeless_instance_is_given_up_loudly(settings: Syncthing) -> None:
    """When Syncthing cannot be started any more, that ends in an error that says why, after a few attempts."""
    told: list[Event] = []
    instance = Instance(settings, "a")
    config = settings.home / "config.xml"
    with Supervisor(instance, told.append, _QUICK, look_s=0.05) as supervisor:
        original = config.read_bytes()
        config.write_bytes(b"<configuration>")
        os.kill(_session(instance), signal.SIGKILL)
        with pytest.raises(ReplicationError, match="giving up on Syncthing after 3 failures"):
            supervisor.wait(20)
        config.write_bytes(original)
    assert len([event for event in told if isinstance(event, Warned)]) == 2


def test_waiting_for_it_can_be_called_off(settings: Syncthing) -> None:
    """A user that is told to stop while it waits for another to start the instance gives up waiting at once."""
    first, second = Instance(settings, "a"), Instance(settings, "b")
    settings.home.mkdir(parents=True, exist_ok=True)
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            second.acquire()
        except ReplicationError as error:
            failures.append(error)

    with first._deciding():
        thread = threading.Thread(target=wait)
        thread.start()
        second.stop_requested.set()
        # its release needs the same lock, so it ends once we leave
    thread.join(10)
    assert not thread.is_alive()
    assert len(failures) == 1


def test_a_port_that_is_taken_is_told_with_the_programs_own_words(tmp_path: Path, settings: Syncthing) -> None:
    """An instance that cannot listen is an error that quotes its log, and leaves nothing running."""
    with Instance(settings, "a").running():
        other = Instance(settings.model_copy(update={"home": tmp_path / "home"}), "b")
        with pytest.raises(ReplicationError, match=r"stopped at once|refuses the API key"):
            other.acquire()
        assert not other.is_alive()


def test_restart_delays() -> None:
    """Delays double up to the longest; after the last attempt there is none."""
    policy = RestartPolicy(first_s=1, longest_s=5, attempts=5)
    assert [policy.delay_s(deaths) for deaths in range(1, 6)] == [1, 2, 4, 5, None]


def test_nobody_there_is_told_from_a_wrong_key(tmp_path: Path, settings: Syncthing) -> None:
    """Over a Unix socket as over TCP: no answer is an `UnreachableError` with the address, a refused key another."""
    socket = settings.home / "api.sock"
    by_socket = settings.model_copy(update={"gui": str(socket)})
    for address in (str(socket), settings.gui):
        with Client(address, "key") as client, pytest.raises(UnreachableError, match=re.escape(address)):
            client.own_id()
    refused = pytest.raises(ReplicationError, match="refuses the API key")
    with Instance(by_socket, "a").running() as client, Client(str(socket), "wrong") as wrong, refused:
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert client.version().startswith("v")
        wrong.is_answering()
    del tmp_path
