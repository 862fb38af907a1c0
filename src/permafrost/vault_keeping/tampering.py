"""Detects what a server does to data it sent before: removing everything, or sending other bytes under an old name.

The history does not care. But a human should know, since an honest server does neither: its prune never removes the
newest snapshot, and an object never changes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.layout import SnapshotId, object_name_of_file
from permafrost.repository.object_list import MAXIMUM_BYTES
from permafrost.repository.snapshots import OBJECT_LIST
from permafrost.vault.arrivals import KEPT, Records
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.linking import NotAFileError, hash_within, opened_folder, read_small, status_of

_PREFIX = 2
MOST_READ_BYTES = 256 << 20
"""So much of what was replaced is read in one look; the rest in the next."""


class Tampering:
    """Looks at what was received for things that are in the history, and differ."""

    def __init__(self, received: Path, history: HistoryFolder, records: Records, found: FindingSink) -> None:
        self._received = received
        self._history = history
        self._records = records
        self._found = found
        self._seen_same: set[tuple[str, int, int]] = set()
        self._lists: dict[str, tuple[int, int]] = {}

    def look(self, there: frozenset[SnapshotId]) -> None:
        """Compare names, and read what has been replaced since the last look."""
        kept = self._records.arrivals(KEPT)
        newest = max(kept, key=lambda one: (one.arrived_at is not None, one.arrived_at, one.snapshot), default=None)
        names = {SnapshotId(one.snapshot) for one in kept}
        # while something newer is on its way, the newest that is kept may have been pruned in its favour
        if newest is not None and SnapshotId(newest.snapshot) not in there and there <= names:
            self._found(
                FindingKind.REMOVED,
                "snapshots",
                f"the server has removed its newest snapshot, and {len(names - there)} in all that the history has",
            )
        for arrival in kept:
            if SnapshotId(arrival.snapshot) in there and arrival.list_hash is not None:
                self._compare_list(arrival.snapshot, arrival.list_hash)
        self._compare_objects()

    def _compare_list(self, snapshot: str, list_hash: str) -> None:
        try:
            with opened_folder(self._received, "snapshots", snapshot) as folder:
                status = status_of(folder, OBJECT_LIST)
                if status is None or self._lists.get(snapshot) == (status.st_ino, status.st_ctime_ns):
                    return
                content = read_small(folder, OBJECT_LIST, MAXIMUM_BYTES)
        except FileNotFoundError:
            return
        except NotAFileError:
            content = b""
        else:
            self._lists[snapshot] = (status.st_ino, status.st_ctime_ns)
        if content is not None and hashlib.sha256(content).hexdigest() != list_hash:
            self._found(
                FindingKind.REWRITTEN,
                f"snapshot {snapshot}",
                f"the server has replaced snapshot {snapshot} with another",
            )

    def _compare_objects(self) -> None:
        try:
            with opened_folder(self._received, "objects") as objects:
                prefixes = sorted(name for name in _names(objects) if len(name) == _PREFIX)
        except (FileNotFoundError, NotAFileError):
            return
        budget = MOST_READ_BYTES
        for prefix in prefixes:
            try:
                with opened_folder(self._received, "objects", prefix) as folder:
                    for file_name in _names(folder):
                        name = object_name_of_file(file_name)
                        if name is not None and budget > 0:
                            budget -= self._compare_object(folder, name)
            except (FileNotFoundError, NotAFileError):
                continue

    def _compare_object(self, folder: int, name: str) -> int:
        """Return how many bytes had to be read."""
        known = self._records.object(name)
        if known is None or not known.is_good:
            return 0
        try:
            status = status_of(folder, f"{name}.gpg")
            if status is None or status.st_ino == self._history.layout.object(name).lstat().st_ino:
                return 0
            version = (name, status.st_ino, status.st_ctime_ns)
            if version in self._seen_same:
                return 0
            if status.st_size == known.size_bytes and hash_within(folder, f"{name}.gpg").name == name:
                self._seen_same.add(version)
                return status.st_size
        except FileNotFoundError:
            return 0
        except NotAFileError:
            pass
        self._found(
            FindingKind.REWRITTEN,
            "objects",
            f"the server has replaced the object {name} with other bytes, and perhaps more",
        )
        return 0


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]
