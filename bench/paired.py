"""A server and one vault, paired by permafrost's own commands, with both services running; all on loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.loopback import free_ports, loopback_settings
from bench.programs import BenchError, permafrost, service
from bench.results import Spent
from bench.server_cpu import cpu_of_tree_s
from bench.systems import Permafrost
from permafrost.config.loading import load_configuration
from permafrost.config.models import Configuration, Schedule
from permafrost.config.writing import effective_toml
from permafrost.errors import ReplicationError
from permafrost.events import ignore_events
from permafrost.repository.layout import Layout, SnapshotId
from permafrost.repository.snapshots import list_snapshots
from permafrost.sharing.paired_vaults import paired_vaults
from permafrost.sharing.receipt_intake import take_in_receipt
from permafrost.sharing.replication import wait_for_vaults
from permafrost.sharing.server_side import server_side_of
from permafrost.syncthing.client import Client
from permafrost.syncthing.instance import Instance
from permafrost.vault.receipt import parse_signed
from permafrost.vault.receipt_files import RECEIPT_FILE
from permafrost.vault.settings import open_vault

VAULT = "attic"
_PATIENCE_S = 120.0
_STILL_S = 600.0
_LOOK_S = 0.05
_OFF = Schedule(backup="off", audit="off", drill="off")


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides while they run. `client` is one of the server's Syncthing."""

    configuration: Configuration
    root: Path
    server_pid: int
    vault_pid: int
    server_syncthing: Instance
    vault_syncthing: Instance
    client: Client
    vault_id: str

    @property
    def received(self) -> Path:
        """The vault's received copy of the repository."""
        return self.root / self.configuration.server.name / "repository"

    @property
    def vault_snapshots(self) -> int:
        """How many snapshots the vault has received."""
        return len(list_snapshots(Layout(self.received)))

    def spent(self) -> Spent:
        """Return the processor time of each side's service and Syncthing so far."""
        server, vault = self.server_syncthing.session, self.vault_syncthing.session
        if server is None or vault is None:
            raise BenchError("a Syncthing does not run any more")
        return Spent(
            cpu_of_tree_s(self.server_pid, without=server),
            cpu_of_tree_s(server),
            cpu_of_tree_s(self.vault_pid, without=vault),
            cpu_of_tree_s(vault),
        )

    def wait_until_held(self, snapshot: str) -> None:
        """Return once the vault's Syncthing holds the whole snapshot, as `permafrost backup --wait` finds out."""
        wait_for_vaults(self.configuration, SnapshotId(snapshot), timeout_s=_STILL_S, report=ignore_events)

    def wait_for_receipt(self, snapshot: str, until: float) -> bool:
        """Return whether, by that moment of the monotonic clock, a receipt has come that names the snapshot.

        Its signature is not checked here: that would take more of the processor than all the rest.
        """
        file = self._receipts / RECEIPT_FILE
        seen: object = None
        while True:
            found = file.stat() if file.exists() else None
            version = found and (found.st_ino, found.st_mtime_ns)
            if version and version != seen:
                seen = version
                newest = parse_signed(file.read_bytes()).receipt().newest
                if newest is not None and newest.snapshot == snapshot:
                    return True
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)

    def check_receipt(self) -> None:
        """Raise `BenchError` if the server would not believe the newest receipt."""
        repository_id = server_side_of(self.configuration).repository_id
        report = take_in_receipt(self._receipts, repository_id, None, datetime.now(UTC))
        if report.receipt is None or report.problem:
            raise BenchError(f"the vault's receipt is not believed: {report.problem or 'there is none'}")

    @property
    def _receipts(self) -> Path:
        return self.configuration.state.path / "receipts" / VAULT


@contextmanager
def paired(system: Permafrost, root: Path, say: Callable[[str], None]) -> Iterator[Pair]:
    """Yield the pair of this server and a new vault in `root`, which holds the newest snapshot and has said so."""
    configuration = _on_loopback(system)
    config = f"--config={system.config_file}"
    name = configuration.server.name
    here = Instance(configuration.syncthing, name)
    server_log, vault_log = root.with_name("run.log"), root.with_name("vault-run.log")
    with service("run", config, log=server_log) as server_pid:
        _wait_for_syncthing(here, server_log)
        invited = permafrost("vault", "invite", VAULT, "--no-wait", "--json", config)
        line = str(json.loads(invited.text)["invitation"])
        gui, port = free_ports(2)
        own = (f"--gui=127.0.0.1:{gui}", f"--listen=tcp://127.0.0.1:{port}", "--no-discovery")
        permafrost("vault", "join", line, f"--path={root}", *own)
        there = Instance(open_vault(root).syncthing(), VAULT)
        with service("vault", "run", f"--path={root}", log=vault_log) as vault_pid:
            _wait_for_syncthing(there, vault_log)
            with here.client() as client:
                side = server_side_of(configuration)
                (vault,) = paired_vaults(client, side)
                pair = Pair(configuration, root, server_pid, vault_pid, here, there, client, vault.device_id)
                began = time.monotonic()
                pair.wait_until_held(system.newest)
                say(f"the vault holds the first snapshot after {time.monotonic() - began:.1f} s")
                if not pair.wait_for_receipt(system.newest, time.monotonic() + _PATIENCE_S):
                    raise BenchError("no receipt comes from the vault")
                yield pair


def _on_loopback(system: Permafrost) -> Configuration:
    """Let the server keep to loopback, and do nothing by its own schedule; return how it is set up then."""
    before = load_configuration(system.config_file)
    changes = {"syncthing": loopback_settings(before.syncthing.home), "schedule": _OFF}
    configuration = before.model_copy(update=changes)
    system.config_file.write_text(effective_toml(configuration))
    return configuration


def _wait_for_syncthing(instance: Instance, log: Path) -> None:
    """Return once it answers; raise `BenchError` with what the service said if it does not."""
    deadline = time.monotonic() + _PATIENCE_S
    while not _answers(instance):
        if time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:]
            raise BenchError(f"a service has not brought up its Syncthing within {_PATIENCE_S:.0f} s: {said}")
        time.sleep(_LOOK_S)


def _answers(instance: Instance) -> bool:
    try:
        return instance.is_answering()
    except ReplicationError:
        return False  # it has no home yet
