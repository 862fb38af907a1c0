"""The units in systemd/ are what systemd takes, and shut away what permafrost does not need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from permafrost.cli.main import main
from permafrost.processes.program import Program
from permafrost.processes.sandbox import Sandbox, sandboxed
from permafrost.service.drill_unit import SOCKET_VARIABLE
from tests.fixtures.other_user import OTHER_USER

ALERTS = Path(__file__).parent.parent / "docs/how-to/get-alerts.md"
SYSTEMD = Path(__file__).parent.parent / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
SOCKET = SYSTEMD / "permafrost-drill.socket"
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSED = {"permafrost.service": 1.4, "permafrost-drill.service": 1.5, "permafrost-vault.service": 1.3}

pytestmark = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed (Debian: systemd)")


def _analyze(*words: str) -> str:
    finished = subprocess.run([str(ANALYZE), *words], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


def test_there_are_units() -> None:
    """There is one for the server, one for its drills, and one for a vault."""
    names = ["permafrost-drill.service", "permafrost-vault.service", "permafrost.service"]
    assert [unit.name for unit in UNITS] == names


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say, but that permafrost is not installed where the unit expects it."""
    for file in (SOCKET, *UNITS):
        (tmp_path / file.name).write_text(file.read_text().replace("/usr/local/bin/permafrost", sys.executable))
    assert _analyze("verify", "--man=no", str(tmp_path / unit.name)) == ""


def test_systemd_takes_the_socket(tmp_path: Path) -> None:
    """The socket of drills is what systemd takes, with the unit that it starts; it is the one that the service uses,
    opened before the service starts, and only for the service's user."""
    for file in (SOCKET, SYSTEMD / "permafrost-drill.service"):
        (tmp_path / file.name).write_text(file.read_text().replace("/usr/local/bin/permafrost", sys.executable))
    assert _analyze("verify", "--man=no", str(tmp_path / SOCKET.name)) == ""
    opened, service, drill = _settings(SOCKET), _settings(SYSTEMD / "permafrost.service"), _settings(UNITS[0])
    assert service["Environment"] == f"{SOCKET_VARIABLE}={opened['ListenStream']}"
    assert SOCKET.name in service["Wants"].split()
    assert SOCKET.name in service["After"].split()
    assert opened["SocketUser"] == service["User"] == drill["User"]
    assert opened["SocketMode"] == "0600"


def test_a_drill_is_closed_as_the_service_is() -> None:
    """What the unit of drills allows beyond the service's is what bubblewrap needs; it has no network, and writes to
    the state folder alone."""
    service, drill = _settings(SYSTEMD / "permafrost.service"), _settings(UNITS[0])
    closing = {
        name for name in service if name.startswith(("Protect", "Private", "Restrict", "System", "Lock", "Memory"))
    }
    closing |= {"NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "DevicePolicy", "UMask"}
    opened = {name for name in closing if service[name] != drill.get(name)}
    assert opened == {"RestrictNamespaces", "RestrictAddressFamilies", "SystemCallFilter"}
    added = drill["SystemCallFilter"].removeprefix(service["SystemCallFilter"]).split()
    assert added == ["capset", "mount", "pivot_root", "umount2"]
    assert drill["RestrictAddressFamilies"].split() == ["AF_UNIX", "AF_NETLINK"]
    assert drill["PrivateNetwork"] == "yes"
    assert drill["ReadWritePaths"] == "-/var/lib/permafrost/state"


def _settings(unit: Path) -> dict[str, str]:
    """Return a unit's settings; values of one that is given several times are joined."""
    found: dict[str, str] = {}
    for name, value in re.findall(r"^([A-Z]\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found[name] = f"{found[name]} {value}" if name in found else value
    return found


def test_systemd_takes_the_unit_that_tells_of_a_failure(tmp_path: Path) -> None:
    """The unit and the drop-in that the how-to on alerts prints are what systemd takes, together with the service."""
    told, drop_in = re.findall(r"```ini\n(.*?)```", ALERTS.read_text(), re.DOTALL)
    service = next(unit for unit in UNITS if unit.name == "permafrost.service")
    text = service.read_text().replace("/usr/local/bin/permafrost", sys.executable)
    assert "[Unit]\n" in text
    (tmp_path / service.name).write_text(text.replace("[Unit]\n", drop_in, 1))
    (tmp_path / "permafrost-ended@.service").write_text(told)
    names = (service.name, "permafrost-ended@permafrost.service")
    assert _analyze("verify", "--man=no", *(str(tmp_path / name) for name in names)) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_is_shut_away(unit: Path) -> None:
    """`systemd-analyze security` rates its exposure as low as it is promised."""
    most = MOST_EXPOSED[unit.name]
    said = _analyze("security", "--offline=true", "--no-pager", f"--threshold={int(most * 10)}", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None
    assert float(found[1]) <= most


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_its_keyrings_are_its_own(unit: Path) -> None:
    """It has a folder in memory for its keyrings, and at its end takes none away from the user's other processes."""
    settings = _settings(unit)
    assert (settings["RuntimeDirectory"], settings["RuntimeDirectoryMode"]) == (unit.stem, "0700")
    assert "RemoveIPC" not in settings


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_its_command_is_there(unit: Path) -> None:
    """The command that it starts is one of permafrost's, with options that it knows."""
    command = re.search(r"^ExecStart=\S+ (.+)$", unit.read_text(), re.MULTILINE)
    assert command is not None
    result = CliRunner().invoke(main, [*command[1].split(), "--help"])
    assert result.exit_code == 0, result.output


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_sandbox_of_a_drill_can_be_made() -> None:
    """The unit of drills may make every system call and namespace that an ordinary user's sandbox needs."""
    unit = (SYSTEMD / "permafrost-drill.service").read_text()
    assert "RestrictNamespaces" not in unit
    program = sandboxed(Program(("/bin/true",)), Sandbox([], []))
    words = ["strace", "-f", *program.argv]
    ended = subprocess.run(
        ["setpriv", f"--reuid={OTHER_USER.pw_uid}", "--clear-groups", *words] if os.geteuid() == 0 else words,
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    called = set(re.findall(r"^(?:\[pid +\d+\] )?((?!syscall_0x)[a-z]\w*)\(", ended.stderr, re.MULTILINE))
    assert called >= {"mount", "pivot_root", "clone"}
    sets = _system_call_sets()
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        names = set().union(*(sets.get(word, {word}) for word in line.removeprefix("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    assert called - allowed == set()


def _system_call_sets() -> dict[str, set[str]]:
    """Return systemd's sets of system calls, by their names, with the sets in them resolved."""
    listed: dict[str, set[str]] = {}
    name = ""
    for line in re.sub(r"\x1b\[[0-9;]*m", "", _analyze("syscall-filter", "--no-pager")).splitlines():
        if line.startswith("@"):
            name = line.strip()
            listed[name] = set()
        elif name and (word := line.strip()) and not word.startswith("#"):
            listed[name].add(word)

    def resolved(name: str) -> set[str]:
        return set().union(*(resolved(word) if word in listed else {word} for word in listed[name]))

    return {name: resolved(name) for name in listed}
