"""Keeps what a server sends within its share of the disk before it is received, so that none starves another.

A history stays within its share by taking nothing more. But a server also fills the received folders, with snapshots
that never become complete or are not taken, and the folder of removed files. All of it counts: what the history costs,
what lies outside of it (files that are no links to the history's), and what the server has announced and Syncthing is
still to bring. Beyond the share Syncthing is told to keep all of the disk free for these folders: then it receives no
more data, and still carries out what the server deletes.

Where only one server is kept there is nobody to starve, and the reserve is enough.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.errors import ReplicationError
from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.media_list import MEDIA_LIST
from permafrost.syncthing.client import Client
from permafrost.vault.cost import ENTRY_BYTES, FOLDER_BYTES, file_cost
from permafrost.vault.media.walk import files_below
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault_keeping.pace import Pace
from permafrost.vault_keeping.quota import Usage, share_bytes

ASK_EVERY = timedelta(seconds=10)
MEASURE_EVERY = timedelta(minutes=10)
RESUMES_AT = 0.95
"""Of the share: below it a server that was stopped may send again."""
_ALL_PERCENT = 100
_STEP = 200


class Receiving:
    """What one server may send. `client` is None where no Syncthing runs, and then nothing is received."""

    def __init__(
        self, vault: Vault, server: VaultServer, client: Client | None, usage: Usage, found: FindingSink
    ) -> None:
        self._vault, self._server, self._client = vault, server, client
        self._usage, self._found = usage, found
        receipts = vault.receipts_folder_id(server)
        self._folders = [folder_id for folder_id in server.folder_ids if folder_id != receipts]
        self._asking, self._measuring = Pace(ASK_EVERY), Pace(MEASURE_EVERY)
        self._walk: Iterator[int | None] | None = None
        self._outside_bytes: int | None = None
        """What lay outside the history when that was last measured; None before that."""
        self._had_bytes = self._has_bytes = self._needs_bytes = 0
        """What Syncthing had when that measuring began; what it has now, and is to receive."""

    def look(self, now: datetime, until: float) -> bool:
        """Measure what there is, let more be received or not, and return whether nothing is left to be measured."""
        if self._client is None or len(self._vault.settings.servers) == 1:
            return True
        try:
            if self._asking.is_due(now):
                self._asking.done(now)
                sizes = [self._client.sizes(folder_id, ENTRY_BYTES) for folder_id in self._folders]
                self._has_bytes, self._needs_bytes = (sum(column) for column in zip(*sizes, strict=True))
                self._decide(self._client, now)
        except ReplicationError:
            return True  # a Syncthing that does not answer is reported elsewhere, and receives nothing
        return self._measured(now, until)

    def _places(self) -> tuple[Path, ...]:
        root = self._vault.root / self._server.name
        parts = self._vault.unfinished_media(self._server)
        names = ("repository", "media", MEDIA_LIST, "sealed-media", "removed")
        return (*(root / name for name in names), parts)

    def _measured(self, now: datetime, until: float) -> bool:
        while self._walk is not None:
            outside = next(self._walk)
            if outside is not None:
                self._outside_bytes, self._walk = outside, None
                self._measuring.done(now)
            elif time.monotonic() > until:
                return False
        return True

    def _decide(self, client: Client, now: datetime) -> None:
        share = share_bytes(self._vault)
        total = self._usage.total_bytes() + (self._outside_bytes or 0) + self._needs_bytes
        total += max(0, self._has_bytes - self._had_bytes)  # what was linked since then counts twice, until measured
        is_measured = self._outside_bytes is not None and self._has_bytes == self._had_bytes
        if self._walk is None and (self._measuring.is_due(now) or (total > share and not is_measured)):
            self._walk, self._had_bytes = outside_the_history(self._places()), self._has_bytes
        if self._outside_bytes is None:
            return
        reserve = self._vault.settings.history.reserve_percent
        folders = {folder_id: client.folder(folder_id) or {} for folder_id in self._folders}
        is_stopped = any(_free_percent(folder) == _ALL_PERCENT for folder in folders.values())
        is_too_much = total > share * (RESUMES_AT if is_stopped else 1.0)
        if is_too_much and is_measured:
            self._found(
                FindingKind.RECEIVING_STOPPED,
                "disk",
                f"nothing more is received from the server: what it has sent and announced would take "
                f"{total / 1e9:.1f} GB, and its share of the disk is {share / 1e9:.1f} GB; nothing kept is removed",
            )
        wanted = _ALL_PERCENT if is_too_much else reserve
        for folder_id, folder in folders.items():
            if folder and _free_percent(folder) != wanted:
                client.change_folder(folder_id, {"minDiskFree": {"value": wanted, "unit": "%"}})


def outside_the_history(places: tuple[Path, ...]) -> Iterator[int | None]:
    """Measure in steps what files take that are in no history: yield None after each, and the bytes at the end.

    A file that the history has is a link to the same bytes, and has more than one name.
    """
    total = steps = 0

    def entered() -> None:
        nonlocal total
        total += FOLDER_BYTES

    for place in places:
        for folder, _, name in files_below(os.fsencode(place), lambda *_: None, entered):
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            total += file_cost(status.st_size) if status.st_nlink == 1 else 0
            steps += 1
            if steps % _STEP == 0:
                yield None
    yield total


def _free_percent(folder: dict[str, object]) -> float | None:
    free = folder.get("minDiskFree")
    return float(free["value"]) if isinstance(free, dict) and free.get("unit") == "%" else None
