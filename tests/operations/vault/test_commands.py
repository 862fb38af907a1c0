"""The commands as an admin types them, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from permafrost.cli.vault.group import vault as vault_group
from permafrost.config.models import Media, Schedule
from permafrost.config.writing import effective_toml
from permafrost.processes.proc import session_members
from tests.fixtures.server import MakeServer
from tests.fixtures.syncthing import free_port, loopback_settings, wait_for

_PROGRAM = (
    "import click, permafrost.cli.vault.group as v, permafrost.cli.service as s;"
    "g = click.Group(commands={'vault': v.vault, 'run': s.run}); g()"
)

OFF = Schedule(backup="off", audit="off", drill="off")


@pytest.fixture
def config(make_server: MakeServer, tmp_path: Path) -> Path:
    """The configuration file of a server with media, on loopback."""
    media = tmp_path / "system"
    media.mkdir()
    changes = {"syncthing": loopback_settings(tmp_path / "syncthing"), "media": Media(path=media), "schedule": OFF}
    file = tmp_path / "permafrost.toml"
    file.write_text(effective_toml(make_server().configuration.model_copy(update=changes)))
    return file


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """The commands that a test has started; whatever still runs at its end is ended."""
    commands: list[subprocess.Popen[str]] = []
    yield commands
    for command in commands:
        if command.poll() is None:
            command.terminate()
        command.communicate(timeout=20)


def _start(started: list[subprocess.Popen[str]], *words: str, notify: str = "") -> subprocess.Popen[str]:
    command = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NOTIFY_SOCKET": notify},
    )
    started.append(command)
    return command


def test_two_commands_then_two_services(config: Path, tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    """`invite` prints a line and waits, `join` takes it, both say that they see each other; `run` keeps them going
    until SIGTERM or Ctrl-C, which ends each service within ten seconds with 0, and leaves no Syncthing behind."""
    root = tmp_path / "vault"
    invite = _start(started, "vault", "invite", "attic", "--config", str(config))
    assert invite.stdout is not None
    line = invite.stdout.readline().strip()
    assert line.startswith("permafrost-invite-1.")
    own = ("--gui", f"127.0.0.1:{free_port()}", "--listen", f"tcp://127.0.0.1:{free_port()}", "--no-discovery")
    join = _start(started, "vault", "join", line, "--path", str(root), *own)
    joined, join_said = join.communicate(timeout=60)
    invited, invite_said = invite.communicate(timeout=60)
    assert (join.returncode, invite.returncode) == (0, 0), join_said + invite_said
    assert "see each other" in joined
    assert re.search(r"^signing key: ([0-9A-F]{4} ){9}[0-9A-F]{4};", joined, re.MULTILINE)
    assert invited.strip() == "this server and the vault attic see each other"
    assert line not in invite_said + join_said

    homes = (tmp_path / "syncthing", root / "syncthing")
    assert not any((home / "instance.pid").exists() for home in homes), "the commands left their Syncthing behind"
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(f"\0permafrost-vault-{os.getpid()}")
    services = (
        _start(started, "run", "--config", str(config)),
        _start(started, "vault", "run", "--path", str(root), notify=f"@permafrost-vault-{os.getpid()}"),
    )
    for home in homes:
        wait_for((home / "instance.pid").exists, "the service starts its Syncthing")
    wait_for(lambda: _connected(config), "the vault is listed as connected", 40)
    with notify:
        notify.settimeout(30)
        told = [notify.recv(1000).decode() for _ in range(3)]
    assert told == ["READY=1", "STATUS=receives from mastodon", "WATCHDOG=1"]
    sessions = [int((home / "instance.pid").read_text()) for home in homes]
    for service, number in zip(services, (signal.SIGTERM, signal.SIGINT), strict=True):
        service.send_signal(number)
    assert [service.wait(10) for service in services] == [0, 0]
    for service in services:
        said = service.communicate()[1]
        assert said.rstrip().splitlines()[-1].strip() == "stopped"
        assert "error" not in said
    assert [session_members(session) for session in sessions] == [[], []]


def _connected(config: Path) -> bool:
    result = CliRunner().invoke(vault_group, ["list", "--json", "--config", str(config)])
    assert result.exit_code == 0
    (vault,) = json.loads(result.stdout)["vaults"]
    assert vault["name"] == "attic"
    return bool(vault["is_connected"])


def test_a_server_that_runs_lets_vaults_in(config: Path, tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    """While the server's service runs, an invitation needs nobody who waits: the vault that joins is let in."""
    service = _start(started, "run", "--config", str(config))
    wait_for((tmp_path / "syncthing" / "instance.pid").exists, "the service starts its Syncthing")
    invite = _start(started, "vault", "invite", "attic", "--no-wait", "--config", str(config))
    line = invite.communicate(timeout=30)[0].strip()
    own = ("--gui", f"127.0.0.1:{free_port()}", "--listen", f"tcp://127.0.0.1:{free_port()}", "--no-discovery")
    join = _start(started, "vault", "join", line, "--path", str(tmp_path / "vault"), *own)
    joined, said = join.communicate(timeout=60)
    assert join.returncode == 0, said
    assert "see each other" in joined
    service.terminate()
    assert service.wait(10) == 0
    assert "the vault attic was admitted" in service.communicate()[1]


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    """A line that is none, a folder that is no vault: a clear error with its exit code, and nothing made."""
    runner = CliRunner()
    root = tmp_path / "vault"
    assert runner.invoke(vault_group, ["join", "nonsense", "--path", str(root)]).exit_code == 2
    assert runner.invoke(vault_group, ["run", "--path", str(root)]).exit_code == 10
    assert runner.invoke(vault_group, ["list", "--path", str(root)]).exit_code == 10
    assert runner.invoke(vault_group, ["remove", "x", "--path", str(root)]).exit_code == 10
    assert not root.exists()


def test_help_teaches() -> None:
    """Every command of the group has a help text with an example that can be typed."""
    for name, command in vault_group.commands.items():
        assert command.help is not None
        assert f"permafrost vault {name}" in command.help
