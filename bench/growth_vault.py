"""What a vault's look at a server costs while nothing comes, with as much in its history as in a repository."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.programs import BenchError
from permafrost.events import ignore_events
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import list_snapshots, read_object_list
from permafrost.vault.arrivals import KEPT, Arrival, KeptObject, Records
from permafrost.vault.clock import OwnTime, read_moment
from permafrost.vault.invitation import OfferedFolder
from permafrost.vault.settings import History, Vault, VaultServer, VaultSettings
from permafrost.vault_keeping.keeper import Keeper

_NAME = "bench"
_DEVICE_ID = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAO"
_KEEP_ALL_HOURS = 2000
_LOOKS = 20
_SETTLED_S = 120.0


def look_s(folder: Path, repository: Repository) -> tuple[float, float]:
    """Return wall and processor seconds of one look of a vault that keeps all of the repository, and has just started.

    The vault is made in `folder`, which must not exist yet and is removed.
    """
    with _vault(folder, repository) as vault, Keeper(vault, None, ignore_events) as keeper:
        deadline = time.monotonic() + _SETTLED_S
        while not keeper.turn():
            if time.monotonic() > deadline:
                raise BenchError("a vault in which nothing happens does not come to rest")
        began, cpu_before = time.monotonic(), time.process_time()
        for _ in range(_LOOKS):
            keeper.turn()
        return (time.monotonic() - began) / _LOOKS, (time.process_time() - cpu_before) / _LOOKS


@contextmanager
def _vault(folder: Path, repository: Repository) -> Iterator[Vault]:
    repository_id = repository.repository_id
    server = VaultServer(
        name=_NAME,
        repository_id=repository_id,
        fingerprint=repository.fingerprint,
        device_id=_DEVICE_ID,
        folders=(OfferedFolder(folder_id=f"permafrost-{repository_id}", kind="repository"),),
    )
    history = History(keep_all_hours=_KEEP_ALL_HOURS)
    vault = Vault(root=folder, settings=VaultSettings(name="attic", servers=(server,), history=history))
    (folder / _NAME).mkdir(parents=True)
    try:
        for place in (vault.received(server), vault.history(server)):
            subprocess.run(("cp", "--archive", "--link", str(repository.path), str(place)), check=True)
        _record_everything(vault.records(server), repository)
        yield vault
    finally:
        shutil.rmtree(folder)


def _record_everything(file: Path, repository: Repository) -> None:
    """Let the records say that every snapshot arrived, and every object was read, within the last days."""
    moment = read_moment()
    now = datetime.now(UTC)
    snapshots = list_snapshots(repository.layout)
    objects: dict[str, int] = {}
    with closing(Records(file)) as records, records.together():
        records.record_time(OwnTime(moment.wall, moment))
        for number, snapshot in enumerate(snapshots):
            listed, content, _ = read_object_list(repository.layout, snapshot)
            objects.update((stored.name, stored.size_bytes) for stored in listed.objects)
            at = now - timedelta(minutes=len(snapshots) - number)
            digest = hashlib.sha256(content).hexdigest()
            records.record(Arrival(str(snapshot), at, KEPT, at, at, digest, len(listed.objects), 0))
        read_at = now - timedelta(hours=1)
        records.record_objects(KeptObject(name, size, read_at, is_good=True) for name, size in objects.items())
