"""What commands cost as the repository and its records grow: snapshots, objects and runs, ten times as many each.

A real snapshot is made first. What is added to it is what years of it would leave: snapshots with lists of their own,
signed with the repository's key, objects with the bytes that their names say, and runs in the records. Only what the
commands that are measured never open, the manifests, is the same in all.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path

from bench.growth_results import Grown, Size
from bench.growth_vault import look_s
from bench.hours import Say
from bench.measuring import take
from bench.programs import permafrost
from bench.results import Data, Facts, Growth
from bench.sections import make_mastodon, running_servers
from bench.systems import Permafrost
from permafrost.config.loading import load_configuration
from permafrost.config.models import Retention
from permafrost.config.writing import effective_toml
from permafrost.openpgp.home import gpg, stop_agent
from permafrost.repository.layout import Layout, SnapshotId
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import publish_snapshot, read_object_list, read_sealed_manifest
from permafrost.runs import RunRecords

_DATABASE_BYTES = 20_000_000
_LISTED_BY = 4
"""How many snapshots in a row list the same object."""
_FINDINGS = 3  # the exit code of a status with findings: there is no vault
COMMANDS: dict[str, Sequence[str]] = {
    "backup, nothing changed": ("backup",),
    "snapshots": ("snapshots",),
    "status": ("status",),
    "prune, nothing to remove": ("prune",),
    "verify": ("verify",),
}


VAULT_LOOK = "a vault's look, nothing new"


def measure_growth(folder: Path, facts: Facts, sizes: Sequence[Size], say: Say) -> Growth:
    """Measure every command at each size, the smallest first, on one repository that grows."""
    with running_servers(folder) as servers:
        data: Data = make_mastodon(servers, _DATABASE_BYTES, say)
        system = Permafrost(folder / "log", servers.conninfo, "log")
        system.backup()
        grower = _Grower(system)
        taken = []
        for size in sizes:
            grower.grow_to(size)
            say(f"{size.snapshots:,} snapshots, {size.objects:,} objects, {size.runs:,} runs:")
            for name, words in COMMANDS.items():
                command = partial(permafrost, *words, f"--config={system.config_file}", codes=(0, _FINDINGS))
                run = take(command, server_pid=lambda: servers.source.pid)
                taken.append(Grown(name, size, run.wall_s, run.cpu_s, run.peak_bytes))
                say(f"  {name}: {run.wall_s:.2f} s, CPU {run.cpu_s:.2f} s, peak {run.peak_bytes / 1e6:.0f} MB")
            wall_s, cpu_s = look_s(folder / "vault", Repository.open(system.repository))
            taken.append(Grown(VAULT_LOOK, size, wall_s, cpu_s, 0))
            say(f"  {VAULT_LOOK}: {wall_s:.3f} s, CPU {cpu_s:.3f} s")
    return Growth(facts, data, tuple(taken))


class _Grower:
    """Adds snapshots, objects and runs to a system's repository and state."""

    def __init__(self, system: Permafrost) -> None:
        before = load_configuration(system.config_file)
        self._configuration = before.model_copy(update={"retention": Retention(last=1_000_000)})
        system.config_file.write_text(effective_toml(self._configuration))
        self._repository = Repository.open(system.repository)
        self._layout: Layout = self._repository.layout
        self._first = SnapshotId(system.newest)
        listed, _, _ = read_object_list(self._layout, self._first)
        self._manifest = read_sealed_manifest(self._layout, listed)
        self._shared = listed.objects
        self._snapshots = self._objects = self._runs = 0
        self._recent: list[tuple[StoredObject, ...]] = []

    def grow_to(self, size: Size) -> None:
        """Add what is missing; retention is to keep all of it, and the newest snapshot stays the real one."""
        try:
            for _ in range(self._snapshots, size.snapshots):
                self._add_snapshot(size.objects // size.snapshots)
        finally:
            stop_agent(self._configuration.signing.gnupg_home)
        records = RunRecords(self._configuration.state.path)
        with records._database() as database:  # noqa: SLF001 - by itself each record is a transaction
            database.executemany(
                "INSERT INTO runs (operation, started_at, ended_at, outcome, snapshot, details)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                self._runs_until(size.runs),
            )
        self._runs = size.runs

    def _runs_until(self, runs: int) -> Iterator[tuple[str, ...]]:
        for number in range(self._runs, runs):
            at = (self._first.made_at - timedelta(minutes=runs - number)).isoformat(timespec="milliseconds")
            operation = "prune" if number % 5 == 4 else "backup"
            yield operation, at, at, "done", str(self._first), '{"is_audited": false, "bytes_new": 700000}'

    def _add_snapshot(self, objects: int) -> None:
        self._snapshots += 1
        made_at = self._first.made_at - timedelta(minutes=self._snapshots)
        snapshot = SnapshotId(f"{made_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{self._snapshots:08x}")
        self._recent = [*self._recent[1 - _LISTED_BY :], tuple(self._new_objects(objects))]
        own = tuple(stored for some in self._recent for stored in some)
        manifest = StoredObject(hashlib.sha256(self._manifest).hexdigest(), len(self._manifest))
        object_list = ObjectList(self._repository.repository_id, snapshot, manifest, (*self._shared, *own))
        publish_snapshot(self._layout, object_list, self._manifest, self._signature(object_list.encode()))

    def _new_objects(self, count: int) -> Iterator[StoredObject]:
        for _ in range(count):
            self._objects += 1
            content = f"object {self._objects} of {self._repository.repository_id}".encode()
            stored = StoredObject(hashlib.sha256(content).hexdigest(), len(content))
            place = self._layout.object(stored.name)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
            yield stored

    def _signature(self, content: bytes) -> bytes:
        """Return a signature, with an agent that stays."""
        words = ("--local-user", f"{self._repository.fingerprint}!", "--armor", "--output", "-", "--detach-sign")
        program = gpg(self._configuration.signing.gnupg_home, *words)
        done = subprocess.run(program.argv, input=content, capture_output=True, check=True, env=os.environ)
        return done.stdout
