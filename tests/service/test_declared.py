"""Server and vault that are declared on both sides find each other without a command that waits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import tomli_w
from click.testing import CliRunner, Result

from permafrost.cli.main import main
from permafrost.events import Event
from permafrost.repository.layout import FACTS_FILE
from permafrost.service.declared_servers import DeclaredServers
from permafrost.vault.invitation import OfferedFolder
from permafrost.vault.settings import SERVERS_FILE, SETTINGS_FILE, VaultServer, VaultSettings, open_vault
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import free_port, wait_for
from tests.fixtures.vault import SERVER_ID

NO_JOBS = '[schedule]\nbackup = "off"\naudit = "off"\ndrill = "off"\n'


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Commands set signal handlers; the test run's own come back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def call(*words: str | Path, stdin: str = "") -> Result:
    """Run a command in this process, which spares the start of another."""
    return CliRunner().invoke(main, [str(word) for word in words], input=stdin)


def permafrost(*words: str | Path) -> str:
    """Run a command that has to succeed, and return its stdout."""
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


@contextmanager
def service(log: Path, *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service within the block, with what it says in `log`."""
    with log.open("wb") as stderr:
        started = subprocess.Popen([sys.executable, "-m", "permafrost", *map(str, words)], stderr=stderr)
    try:
        yield started
    finally:
        started.terminate()
        assert started.wait(20) == 0, log.read_text()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server that makes no backups of its own."""
    return make_server("postgresql:///nowhere?host=/nowhere")


def _says(log: Path, text: str) -> bool:
    return text in log.read_text()


def settings_file(folder: Path, name: str, **keys: object) -> Path:
    """Write a vault's settings as somebody who declares them does."""
    file = folder / name
    syncthing = {
        "gui": f"127.0.0.1:{free_port()}",
        "listen": [f"tcp://127.0.0.1:{free_port()}"],
        "discovery": False,
    }
    file.write_text(tomli_w.dumps({"syncthing": syncthing, **keys}))
    return file


def test_declared_on_both_sides(server: Server, tmp_path: Path) -> None:
    """A declared vault is let in by its id, with a line that is no secret; one with an invitation in a file by its
    proof; and one with declared settings by hand. A vault that is no longer declared receives nothing more."""
    config = server.write_configuration()
    port = free_port()
    text = config.read_text().replace("discovery = false", f'discovery = false\nannounce = ["tcp://127.0.0.1:{port}"]')
    lines = [f'listen = ["tcp://127.0.0.1:{port}"]' if one.startswith("listen") else one for one in text.splitlines()]
    undeclared = "\n".join(lines) + "\n" + NO_JOBS
    line_files = {name: tmp_path / f"{name}.line" for name in ("attic", "cellar")}
    roots = {name: tmp_path / name for name in line_files}
    settings = {
        name: settings_file(tmp_path, f"{name}.toml", line_files=[str(file)]) for name, file in line_files.items()
    }
    device_id = permafrost("vault", "id", "--path", roots["attic"], "--settings", settings["attic"]).strip()
    config.write_text(f'{undeclared}[[vaults]]\nname = "attic"\ndevice_id = "{device_id}"\n')

    with service(tmp_path / "server.log", "run", "--config", config):
        wait_for(lambda: "the declared vault attic is let in" in (tmp_path / "server.log").read_text(), "let in", 30)
        for name, file in line_files.items():
            at_once = ("--no-wait",) if name == "cellar" else ()
            file.write_text(permafrost("vault", "invite", name, *at_once, "--config", config))
            file.chmod(0o400)
        open_ones = json.loads(permafrost("vault", "invitations", "--json", "--config", config))["invitations"]
        assert [one["vault"] for one in open_ones] == ["cellar"]
        with ExitStack() as stack:
            for name, root in roots.items():
                words = ("vault", "run", "--path", root, "--settings", settings[name])
                stack.enter_context(service(tmp_path / f"{name}.log", *words))
            for name, root in roots.items():
                wait_for((root / "mastodon/repository" / FACTS_FILE).exists, "the first file has arrived", 40)
                wait_for(partial(_says, tmp_path / f"{name}.log", "has admitted this vault"), "it is told", 20)
        for name, root in roots.items():
            assert (root / SETTINGS_FILE).readlink() == settings[name]
            assert open_vault(root).settings.name == name
        line = permafrost("vault", "invite", "loft", "--no-wait", "--config", config)
        loft, declared = tmp_path / "loft", settings_file(tmp_path, "loft.toml", history={"monthly": 24})
        with service(tmp_path / "loft.log", "vault", "run", "--path", loft, "--settings", declared):
            wait_for(lambda: "device id is" in (tmp_path / "loft.log").read_text(), "the service runs", 20)
            joined = call("vault", "join", "--line-file", "-", "--path", loft, stdin=line)
            assert joined.exit_code == 0, joined.output
            wait_for((loft / "mastodon/repository" / FACTS_FILE).exists, "the service has noticed", 20)
        assert (loft / SETTINGS_FILE).readlink() == declared
        assert open_vault(loft).settings.history.monthly == 24
        paired = json.loads(permafrost("vault", "list", "--json", "--config", config))["vaults"]
        assert [one["name"] for one in paired] == ["attic", "cellar", "loft"]
        line_files["attic"].unlink()  # a vault that has joined needs its line no more
        told: list[Event] = []
        assert DeclaredServers(told.append).learn(open_vault(roots["attic"])) == open_vault(roots["attic"])
        assert told == []

    config.write_text(undeclared)
    with service(tmp_path / "without.log", "run", "--config", config):
        wait_for(lambda: "attic is no longer declared" in (tmp_path / "without.log").read_text(), "it is dropped", 30)
    paired = json.loads(permafrost("vault", "list", "--json", "--config", config))["vaults"]
    assert [one["name"] for one in paired] == ["cellar", "loft"]


def test_invitations_are_taken_back(server: Server) -> None:
    """An open invitation is listed without its line, and void once it is revoked."""
    config = server.write_configuration()
    line = permafrost("vault", "invite", "attic", "--no-wait", "--config", config).strip()
    listed = permafrost("vault", "invitations", "--config", config)
    assert listed.startswith("attic  until ")
    assert line not in listed
    assert permafrost("vault", "revoke", "attic", "--config", config) == "the invitation for attic is void\n"
    assert permafrost("vault", "invitations", "--config", config) == "no invitation is open\n"
    again = call("vault", "revoke", "attic", "--config", config)
    assert again.exit_code == 2
    assert "no invitation for attic is open" in again.stderr


def test_a_line_comes_from_stdin(tmp_path: Path) -> None:
    """`vault join --line-file -` reads the line from stdin: a cut one is refused as any other."""
    words = ("vault", "join", "--path", tmp_path / "v")
    cut = call(*words, "--line-file", "-", stdin="permafrost-invite-1.eyJ")
    assert cut.exit_code == 2
    assert "permafrost vault invite NAME" in cut.stderr
    assert "give the line, or --line-file" in call(*words).stderr
    assert not (tmp_path / "v").exists()


def test_an_older_vault_keeps_its_servers(tmp_path: Path) -> None:
    """Servers that an older vault.toml names are known after the settings are declared elsewhere."""
    old = VaultServer(
        name="example.social",
        repository_id="0" * 32,
        fingerprint="0" * 40,
        device_id=SERVER_ID,
        folders=(OfferedFolder(folder_id="permafrost-x", kind="repository"),),
    )
    root = tmp_path / "vault"
    root.mkdir()
    whole = VaultSettings(name="attic", servers=(old,)).model_dump(mode="json", exclude_none=True)
    (root / SETTINGS_FILE).write_text(tomli_w.dumps(whole))
    assert open_vault(root).settings.servers == (old,)
    permafrost("vault", "id", "--path", root, "--settings", settings_file(tmp_path, "declared.toml"))
    assert (root / SERVERS_FILE).exists()
    assert open_vault(root).settings.servers == (old,)
    assert open_vault(root).settings.name == "attic"
    assert (root / f"{SETTINGS_FILE}.before").exists()
