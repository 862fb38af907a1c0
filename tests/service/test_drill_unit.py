"""Drills in a unit of their own: asked for by a socket, followed, and ended with the service."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.config.loading import load_configuration
from permafrost.errors import (
    ERROR_CLASSES,
    IntegrityError,
    InterruptedRunError,
    LockedError,
    ReportedError,
    ToolError,
    exit_code_of,
)
from permafrost.events import Event, Note, StepStarted, Warned
from permafrost.processes.proc import descendants
from permafrost.runs import DRILL, RunRecords
from permafrost.service.drill_asking import drill_by_unit
from permafrost.service.drill_messages import DrillAsked, DrillEnded, decode_asked, decode_ended
from permafrost.service.drill_unit import DrillUnit, drill_socket, why_unusable
from permafrost.status.document import status
from tests.fixtures import drill_unit
from tests.fixtures.backups import make_backup
from tests.fixtures.commands import command
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import wait_for
from tests.service.test_service import Service


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a socket can be, with a name that is short enough."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder, "drill.socket")


@pytest.fixture
def units() -> Iterator[list[drill_unit.DrillUnit]]:
    """The units that a test starts, which are closed after it."""
    started: list[drill_unit.DrillUnit] = []
    yield started
    for unit in started:
        unit.close()


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer, server_folder: Path) -> Iterator[Server]:
    """A server with an audited snapshot, whose drills have a folder that the server's user can reach."""
    made = make_server(mastodon_database)
    make_backup(made, is_audited=True)
    folder = server_folder / "drills"
    folder.mkdir()
    folder.chmod(0o711)
    config = made.write_configuration()
    text = config.read_text()
    config.write_text(text.replace("[state]\n", f'[state]\nscratch = "{folder}"\n'))
    yield made
    assert list(folder.iterdir()) == []
    folder.rmdir()


def config_of(server: Server) -> Path:
    """Return the server's configuration file."""
    return server.passphrase_file.with_name("permafrost.toml")


# --- the service and the unit ---


def test_a_due_drill_is_run_by_the_unit(server: Server, place: Path, units: list[drill_unit.DrillUnit]) -> None:
    """A service that is killed in the middle of a drill ends it; started again it has the unit drill again, with its
    hooks run by the service, its events in the journal and its verdict in the records, and nothing of it is its child.
    """
    config = config_of(server)
    hooked = place.with_name("hooked")
    code = f"import sys; open({str(hooked)!r}, 'w').write(sys.stdin.read())"
    config.write_text(
        config.read_text()
        + '[schedule]\nbackup = "off"\naudit = "off"\ndrill = "* * * * *"\n'
        + f'[[hooks]]\njobs = ["drill"]\nwhen = "after"\ncommand = {json.dumps([sys.executable, "-c", code])}\n'
    )
    records = RunRecords(server.configuration.state.path)
    with records.recorded("prune", datetime.now(UTC) - timedelta(minutes=2)):
        pass  # so that a drill is due at once
    units.append(unit := drill_unit.DrillUnit(place, config))
    environment = {"PERMAFROST_DRILL_SOCKET": str(place)}
    killed = Service(server, {}, place.parent, environment)
    wait_for(lambda: any("postgres" in name for name in names_below(unit.running)), "the unit runs a server", 180)
    assert not any("postgres" in name for name in names_below(killed.process.pid))
    killed.kill()
    killed.close()
    wait_for(lambda: len(unit.ended) == 1, "the drill has ended with the service", 30)
    assert unit.ended == [0]
    assert records.newest_settled(DRILL) is None

    service = Service(server, {}, place.parent, environment)
    try:
        wait_for(lambda: "drill --audited: snapshot" in service.said, "the unit has drilled", 120)
        assert any(line.startswith("STATUS=drill --audited, ") for line in service.told)
        assert "starting a server in" in service.said
    finally:
        service.stop()
        service.close()
    last = records.newest_settled(DRILL)
    assert last is not None
    assert (last.outcome, last.details["is_audited"]) == ("done", True)
    told = json.loads(hooked.read_text())
    assert (told["outcome"], told["result"]["snapshot"]) == ("done", last.snapshot)
    found = status(load_configuration(config), datetime.now(UTC))
    assert str(found.newest_proven) == last.snapshot
    assert "drill-unit" not in {finding.code for finding in found.findings}


def names_below(pid: int | None) -> list[str]:
    """Return the command lines of all processes below one."""
    found = []
    for child in descendants(pid) if pid is not None else ():
        try:
            found.append(Path(f"/proc/{child}/cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_a_unit_that_is_not_there(make_server: MakeServer, place: Path) -> None:
    """A socket that cannot be used is reported once and is a finding until it can; the service then drills itself."""
    server = make_server()
    config = server.write_configuration()
    records = RunRecords(server.configuration.state.path)
    said: list[Event] = []
    now = datetime.now(UTC)

    def found() -> list[str]:
        return [each.message for each in status(load_configuration(config), now).findings if each.code == "drill-unit"]

    unit = DrillUnit(place, records, said.append)
    assert unit.options(now) == ()
    assert unit.options(now) == ()
    (warned,) = said
    assert isinstance(warned, Warned)
    assert f"{place}: No such file or directory" in warned.message
    assert "systemctl start permafrost-drill.socket" in warned.message
    assert found() == [f"permafrost-drill.service cannot be asked for drills: {place}: No such file or directory"]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        assert unit.options(now) == ("--ask-unit", str(place))
        assert isinstance(said[-1], Note)
        assert found() == []
    assert unit.options(now) == ()
    assert "Connection refused" in found()[0]
    assert not DrillUnit(None, records, said.append).look(now)
    assert found() == []
    assert len(records.since(now - timedelta(hours=1), "drill-unit")) == 4


def test_a_finding_that_cannot_be_recorded(make_server: MakeServer, place: Path) -> None:
    """Records that cannot be written, as on a full disk, are told of, and hold up nothing that is scheduled."""
    state = make_server().configuration.state.path
    RunRecords(state).begin("prune", datetime.now(UTC))
    said: list[Event] = []
    unit = DrillUnit(place, RunRecords(state, is_read_only=True), said.append)
    assert unit.options(datetime.now(UTC)) == ()
    assert unit.options(datetime.now(UTC)) == ()
    warned = [event.message for event in said if isinstance(event, Warned)]
    assert len(warned) == 2
    assert "is not recorded" in warned[1]


def test_looking_starts_nothing(place: Path) -> None:
    """Whether the unit can be started is seen without a connection, which would start it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        listener.setblocking(False)
        assert why_unusable(place) == ""
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert drill_socket({}) is None
    assert drill_socket({"PERMAFROST_DRILL_SOCKET": ""}) is None
    assert drill_socket({"PERMAFROST_DRILL_SOCKET": "/run/x"}) == Path("/run/x")


# --- the connection ---


def test_who_asks_in_vain(make_server: MakeServer, place: Path, units: list[drill_unit.DrillUnit]) -> None:
    """An error in the unit is raised as what it is; another configuration's drill, a connection without a request, and
    a unit that is killed are errors too, and the unit is started again for the next who asks."""
    server = make_server()
    config = server.write_configuration()
    units.append(unit := drill_unit.DrillUnit(place, config))
    own = load_configuration(config)
    with pytest.raises(ReportedError) as raised:
        drill_by_unit(place, own, lambda _: None)
    assert raised.value.code == "repository"
    assert "no complete snapshot" in raised.value.message or "no snapshot" in raised.value.message
    assert raised.value.step.startswith("step 1 of 4")
    other = own.model_copy(update={"state": own.state.model_copy(update={"path": Path("/elsewhere")})})
    with pytest.raises(ReportedError, match="another repository") as raised:
        drill_by_unit(place, other, lambda _: None)
    assert raised.value.exit_code == 10
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(place))
    wait_for(lambda: len(unit.ended) == 3, "it has ended", 180)
    assert unit.ended == [0, 0, 15]
    place.unlink()
    with pytest.raises(ToolError, match="cannot be asked for a drill"):
        drill_by_unit(place, own, lambda _: None)


def test_a_unit_that_is_killed(place: Path, make_server: MakeServer) -> None:
    """What was sent before the unit was killed is reported; then it has ended without a result."""
    own = load_configuration(make_server().write_configuration())
    asked: list[bytes] = []
    seen: list[Event] = []

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(65536))
            connection.sendall(b'{"event": "StepStarted", "number": 1, "total": 4, "title": "x"}\nnonsense\n')

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        answering = threading.Thread(target=answer, args=[listener])
        answering.start()
        with pytest.raises(ToolError, match="ended without a result"):
            drill_by_unit(place, own, seen.append)
        answering.join()
    assert seen == [StepStarted(1, 4, "x")]
    assert decode_asked(asked[0]) == DrillAsked.of(own)


@pytest.mark.parametrize("kind", ERROR_CLASSES, ids=lambda kind: str(kind.code))
def test_every_error_arrives(kind: type[ReportedError]) -> None:
    """An error is of the same kind at the other end, with all its words and the exit code."""
    error = InterruptedRunError(15) if kind is InterruptedRunError else kind("m", hint="h", unchanged="u", step="s")
    ended = decode_ended(DrillEnded.failed(error).encoded())
    assert ended is not None
    with pytest.raises(kind) as raised:
        ended.result()
    assert exit_code_of(raised.value) == exit_code_of(error)
    words = ("message", "hint", "unchanged", "step")
    assert [getattr(raised.value, word) for word in words] == [getattr(error, word) for word in words]


def test_what_is_no_message() -> None:
    """Lines that say nothing known are no messages; a subclass arrives as the kind whose code it has."""
    assert decode_ended(b"x") is None
    assert decode_ended(b'{"ended": {"document": 1}}') is None
    assert decode_ended(b"[" * 100_000) is None
    assert decode_asked(b"") is None
    assert decode_asked(b'{"repository": "/r"}') is None
    assert {LockedError, IntegrityError} <= set(ERROR_CLASSES)


def test_commands_that_do_not_fit(make_server: MakeServer) -> None:
    """The unit's command by hand, and a unit asked for another snapshot than its own, are errors of usage."""
    config = str(make_server().write_configuration())
    by_hand = command("run-drill", "--config", config)
    assert by_hand.returncode == 2
    assert "to run a drill now: permafrost drill" in by_hand.stderr
    other = command("drill", "--ask-unit", "/nowhere", "--config", config)
    assert other.returncode == 2
    assert "--ask-unit goes with --audited" in other.stderr
