"""Compares what the history keeps with what the server shows: what was removed, and what was replaced.

The history does not care. But a human should know, since an honest server does neither: its prune is explained by its
rules (pruning.py), it never removes an object that one of its snapshots needs, and nothing of it ever changes.

Everything follows from the history's own records. What else the server shows, and under which names, is not even
listed, so nothing can hide behind it, and a look costs what the history's size costs. It is done in steps: a look that
does not fit into a turn is continued in the next one.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.layout import BASE_FILES, SnapshotId, object_path
from permafrost.repository.objects import StoredObject
from permafrost.repository.snapshots import MANIFEST, OBJECT_LIST, SIGNATURE, read_object_list
from permafrost.small_files import NotAFileError, opened_folder, read_small
from permafrost.vault.arrivals import KEPT, KeptObject, Records
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.linking import HashSteps, hashing_within, status_of

_BATCH = 256
_OWN_FILES = (OBJECT_LIST, SIGNATURE, MANIFEST)
Version = tuple[int, int, int]


@dataclass(slots=True)
class Compared:
    """What one look has seen of the history's snapshots and objects on the server."""

    shown: set[SnapshotId] = field(default_factory=set)
    """Snapshots whose own files are all there; `lacking` says whether their objects are."""
    absent: set[str] = field(default_factory=set)
    """Snapshots of which no folder is there: pruned or removed."""
    broken: set[str] = field(default_factory=set)
    """Snapshots whose folder is there, without one of its files."""
    missing: set[str] = field(default_factory=set)
    """Good objects of the history that the server does not show. Most were pruned with their snapshots."""
    lacking: dict[str, int] = field(default_factory=dict)
    """How many objects each shown snapshot lacks, if any."""
    gone_files: list[str] = field(default_factory=list)
    """Files of the repository itself that are not there."""


class Comparison:
    """The looks at one server. Replaced files are reported as they are seen; what is gone is in the answer."""

    def __init__(self, received: Path, history: HistoryFolder, records: Records, found: FindingSink) -> None:
        self._received = received
        self._history = history
        self._records = records
        self._found = found
        self._same: dict[str, Version] = {}
        """Files that were read and are what they were, by path."""
        self._last: tuple[frozenset[str], frozenset[SnapshotId], dict[str, int]] | None = None

    def look(self) -> Iterator[Compared | None]:
        """Do a whole look in small steps: yield None after each but the last, then what was seen."""
        seen = Compared()
        for arrival in self._records.arrivals(KEPT):
            yield from self._snapshot(arrival.snapshot, seen)
        name = ""
        while batch := self._records.objects_after(name, _BATCH):
            name = batch[-1].name
            yield from self._objects(batch, seen)
        yield from self._lacking(seen)
        with opened_folder(self._received) as folder:
            seen.gone_files = [name for name in BASE_FILES if not _exists(folder, name)]
        yield seen

    # --- snapshots ---

    def _snapshot(self, snapshot: str, seen: Compared) -> Iterator[None]:
        try:
            with opened_folder(self._received, "snapshots", snapshot) as folder:
                for name in _OWN_FILES:
                    if not self._own_file(folder, snapshot, name):
                        seen.broken.add(snapshot)
                    yield
        except (FileNotFoundError, NotAFileError):
            seen.absent.add(snapshot)
        except OSError as error:
            self._unreadable(f"snapshots/{snapshot}", error)
        if snapshot not in seen.absent and snapshot not in seen.broken:
            seen.shown.add(SnapshotId(snapshot))
        yield

    def _own_file(self, folder: int, snapshot: str, name: str) -> bool:
        """Return whether the file is there; report one that is not what the history has."""
        path = f"snapshots/{snapshot}/{name}"
        try:
            own = self._history.layout.snapshot(SnapshotId(snapshot)) / name
            kept_bytes = own.lstat().st_size
        except FileNotFoundError:
            return True  # lost here, which the next start reports
        try:
            status = status_of(folder, name)
            if status is None:
                return False
            if self._same.get(path) == _version(status):
                return True
            if status.st_size == kept_bytes and read_small(name, kept_bytes, folder=folder) == own.read_bytes():
                self._same[path] = _version(status)
                return True
        except FileNotFoundError:
            return False
        except NotAFileError:
            pass
        message = f"the server has replaced {name} of snapshot {snapshot} with something else"
        self._found(FindingKind.REWRITTEN, f"snapshot {snapshot}", message)
        return True

    # --- objects ---

    def _objects(self, batch: tuple[KeptObject, ...], seen: Compared) -> Iterator[None]:
        by_folder: dict[str, list[KeptObject]] = {}
        for known in batch:
            by_folder.setdefault(known.name[:2], []).append(known)
        for prefix, some in by_folder.items():
            good = [known for known in some if known.is_good]
            try:
                with opened_folder(self._received, "objects", prefix) as folder:
                    for known in good:
                        yield from self._object(folder, known, seen)
            except (FileNotFoundError, NotAFileError):
                seen.missing.update(known.name for known in good)
            except OSError as error:
                self._unreadable(f"objects/{prefix}", error)
        yield

    def _object(self, folder: int, known: KeptObject, seen: Compared) -> Iterator[None]:
        file_name = f"{known.name}.gpg"
        try:
            status = status_of(folder, file_name)
            if status is None:
                seen.missing.add(known.name)
                return
            if self._same.get(known.name) == _version(status) or self._inode(known.name) == status.st_ino:
                return
            if status.st_size == known.size_bytes:
                read = yield from _in_steps(hashing_within(folder, file_name))
                if read.name == known.name:
                    self._same[known.name] = _version(status)
                    return
        except FileNotFoundError:
            seen.missing.add(known.name)
            return
        except NotAFileError:
            pass
        self._found(
            FindingKind.REWRITTEN,
            "objects",
            f"the server has replaced the object {known.name} with other bytes, and perhaps more",
        )

    def _inode(self, name: str) -> int | None:
        """Return which file the history's own is: most received ones are links to it, and need not be read."""
        try:
            return os.lstat(f"{self._history.layout.root}/{object_path(name)}").st_ino
        except FileNotFoundError:
            return None

    def _lacking(self, seen: Compared) -> Iterator[None]:
        """Find out which shown snapshots need a missing object; the lists are read again only if that can differ."""
        missing, shown = frozenset(seen.missing), frozenset(seen.shown)
        if self._last is not None and self._last[:2] == (missing, shown):
            seen.lacking = self._last[2]
            return
        for snapshot in sorted(shown) if missing else ():
            try:
                listed = read_object_list(self._history.layout, snapshot)[0].objects
            except (RepositoryError, IntegrityError):
                continue  # damaged in the history itself, which others report
            count = sum(stored.name in missing for stored in listed)
            if count:
                seen.lacking[str(snapshot)] = count
            yield
        self._last = (missing, shown, seen.lacking)

    def _unreadable(self, path: str, error: OSError) -> None:
        message = f"{path} in the received repository cannot be read: {error.strerror}"
        self._found(FindingKind.CANNOT_READ, path, message)


def _in_steps(steps: HashSteps) -> Generator[None, None, StoredObject]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            read: StoredObject = end.value
            return read
        yield


def _exists(folder: int, name: str) -> bool:
    try:
        return status_of(folder, name) is not None
    except NotAFileError:
        return True


def _version(status: os.stat_result) -> Version:
    return status.st_ino, status.st_size, status.st_ctime_ns
