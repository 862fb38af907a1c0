"""Which of the snapshots that have arrived can be taken: signed, of a size that this server's snapshots have, complete.

What a server sends decides how much work it is to look at it, so each answer is remembered, and none is found out
twice: a file that has not changed is not read again, a list is decoded once (by its hash), and of a list's objects the
first that was missing is looked for first. What is left to find out when time is up is left to the next turn.

The largest that was taken so far says how large a list and a manifest may be. Before anything was taken, the format
says it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.errors import IntegrityError
from permafrost.findings import FindingKind, FindingSink
from permafrost.openpgp.signing import Verifier
from permafrost.repository.layout import SnapshotId
from permafrost.repository.object_list import MAXIMUM_BYTES, ObjectList, decode_object_list
from permafrost.repository.snapshots import MANIFEST, OBJECT_LIST, SIGNATURE
from permafrost.small_files import NotAFileError, opened_folder, read_small
from permafrost.vault.arrivals import IN_FLIGHT, REJECTED, WAITING, Arrival, Records
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.linking import status_of

PATIENCE = timedelta(hours=6)
SIGNATURE_BYTES = 65536
MANIFEST_BYTES = 256 << 20
GROWTH = 4
"""An honest snapshot has at most so many times the size of the largest before it."""
LIST_FLOOR_BYTES = 8 << 20
MANIFEST_FLOOR_BYTES = 16 << 20
_MOST_REMEMBERED = 300_000
"""Entries of all decoded lists together; one of a 64 MiB list's size fits."""
_LOOK_AT_CLOCK = 256
Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A snapshot that has arrived and is signed, with all files at the right sizes; its objects are not read yet."""

    arrival: Arrival
    object_list: ObjectList
    digest: str
    """SHA-256 of list and signature."""

    @property
    def own_bytes(self) -> int:
        """How much its own files take: manifest, list (some 200 bytes for an object) and signature."""
        return self.object_list.manifest.size_bytes + 220 * (len(self.object_list.objects) + 2)


@dataclass(slots=True)
class _Known:
    """What was found out of one arrival, as long as its files stay the same."""

    versions: tuple[Version | None, ...]
    digest: str = ""
    is_refused: bool = False
    complaint: tuple[FindingKind, str] | None = None
    there: int = 0
    """So many of its objects have been seen."""


@dataclass(slots=True)
class _Lists:
    """Decoded lists by their hash, the ones used last."""

    lists: dict[str, ObjectList] = field(default_factory=dict)

    def get(self, digest: str) -> ObjectList | None:
        known = self.lists.pop(digest, None)
        if known is not None:
            self.lists[digest] = known
        return known

    def put(self, digest: str, object_list: ObjectList) -> None:
        self.lists[digest] = object_list
        while len(self.lists) > 1 and sum(len(known.objects) + 1 for known in self.lists.values()) > _MOST_REMEMBERED:
            self.lists.pop(next(iter(self.lists)))


class Candidates:
    """Looks at the received snapshots of one server."""

    def __init__(
        self, received: Path, history: HistoryFolder, verifier: Verifier, records: Records, found: FindingSink
    ) -> None:
        self._received = received
        self._history = history
        self._verifier = verifier
        self._records = records
        self._found = found
        self._known: dict[str, _Known] = {}
        self._lists = _Lists()
        self._seen_bad: dict[str, Version] = {}
        self._done: set[str] = set()
        self._largest_list_bytes = self._largest_manifest_bytes = 0
        for snapshot in history.snapshots():
            folder = history.layout.snapshot(snapshot)
            self._has_size((folder / OBJECT_LIST).lstat().st_size, (folder / MANIFEST).lstat().st_size)

    def there_are(
        self, there: frozenset[SnapshotId], now: datetime, until: float, *, is_room: bool
    ) -> Iterator[Candidate]:
        """Yield the snapshots that can be taken, those first seen last first; report those that never will be.

        Those that wait are passed over while there is no room. Ends at `until` (monotonic), and begins the next time
        with those that it did not get to.
        """
        states = (IN_FLIGHT, REJECTED, WAITING) if is_room else (IN_FLIGHT, REJECTED)
        arrivals = [known for known in self._records.arrivals(*states) if SnapshotId(known.snapshot) in there]
        self._known = {name: self._known[name] for known in arrivals if (name := known.snapshot) in self._known}
        arrivals.sort(key=lambda known: (known.seen_at, known.snapshot), reverse=True)
        arrivals.sort(key=lambda known: known.snapshot in self._done)
        for arrival in arrivals:
            if time.monotonic() > until:
                return
            candidate = self._look_at(arrival, until)
            if candidate is not None:
                yield candidate
            elif arrival.state == IN_FLIGHT and now - arrival.seen_at > PATIENCE:
                message = f"snapshot {arrival.snapshot} is incomplete, and should not be by now"
                self._found(FindingKind.OVERDUE, arrival.snapshot, message)
            self._done.add(arrival.snapshot)  # not before: what was begun is continued first
        self._done = set()

    def was_taken(self, candidate: Candidate) -> None:
        """Learn from a snapshot that was taken how large the server's snapshots are."""
        self._has_size(len(candidate.object_list.encode()), candidate.object_list.manifest.size_bytes)

    def _has_size(self, list_bytes: int, manifest_bytes: int) -> None:
        self._largest_list_bytes = max(self._largest_list_bytes, list_bytes)
        self._largest_manifest_bytes = max(self._largest_manifest_bytes, manifest_bytes)

    def own_files(self, candidate: Candidate) -> tuple[bytes, bytes]:
        """Return the candidate's manifest and signature; raise `NotAFileError` if they are not what was signed."""
        snapshot, manifest = candidate.arrival.snapshot, candidate.object_list.manifest
        with opened_folder(self._received, "snapshots", snapshot) as folder:
            signature = read_small(SIGNATURE, SIGNATURE_BYTES, folder=folder)
            content = read_small(MANIFEST, manifest.size_bytes, folder=folder)
        signed = hashlib.sha256(candidate.object_list.encode() + signature).hexdigest()
        if signed != candidate.digest or hashlib.sha256(content).hexdigest() != manifest.name:
            raise NotAFileError(f"the manifest of snapshot {snapshot}", "not what was signed")
        return content, signature

    def refuse(self, candidate: Candidate, kind: FindingKind, message: str) -> None:
        """Do not look at the candidate again before one of its own files changes, and report why."""
        known = self._known.get(candidate.arrival.snapshot)
        if known is not None:
            known.is_refused, known.complaint = True, (kind, message)
        self._found(kind, candidate.arrival.snapshot, message)

    def look_again(self, candidate: Candidate) -> None:
        """Look for all of the candidate's objects again: one of them was not what it seemed."""
        known = self._known.get(candidate.arrival.snapshot)
        if known is not None:
            known.there = 0

    def remember_bad(self, name: str) -> None:
        """Remember which file of the object it was, so that it is not read again until another takes its place."""
        try:
            with opened_folder(self._received, "objects", name[:2]) as folder:
                status = status_of(folder, f"{name}.gpg")
        except OSError:
            return
        if status is not None and len(self._seen_bad) < _MOST_REMEMBERED:
            self._seen_bad[name] = _version(status)

    def is_held(self, name: str) -> bool:
        """Return whether the history has the object."""
        known = self._records.object(name)
        return known is not None and known.is_good

    # --- one arrival ---

    def _look_at(self, arrival: Arrival, until: float) -> Candidate | None:
        try:
            object_list = self._signed(arrival)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._odd(arrival, error)
            return None
        known = self._known[arrival.snapshot]
        try:
            if object_list is None or not self._all_there(object_list, known, until):
                return None
        except OSError as error:  # an object, which may change while the snapshot's own files do not
            self._found(FindingKind.ODD_FILE, arrival.snapshot, f"snapshot {arrival.snapshot}: {_reason(error)}")
            return None
        # what was recorded meanwhile, its list's hash, counts
        return Candidate(self._records.arrival(arrival.snapshot) or arrival, object_list, known.digest)

    def _signed(self, arrival: Arrival) -> ObjectList | None:
        """Return the list if its own files are all there and may be what they should; None if they are not."""
        with opened_folder(self._received, "snapshots", arrival.snapshot) as folder:
            statuses = [status_of(folder, name) for name in (OBJECT_LIST, SIGNATURE, MANIFEST)]
            versions = tuple(None if status is None else _version(status) for status in statuses)
            known = self._known.get(arrival.snapshot)
            if known is None or known.versions != versions:
                known = self._known[arrival.snapshot] = _Known(versions)
            if known.is_refused and known.complaint is not None:
                self._found(known.complaint[0], arrival.snapshot, known.complaint[1])
            object_list = None if known.is_refused or None in versions[:2] else self._list(arrival, known, folder)
        manifest = statuses[2]
        is_of_its_size = object_list and manifest and manifest.st_size == object_list.manifest.size_bytes
        return object_list if is_of_its_size else None

    def _list(self, arrival: Arrival, known: _Known, folder: int) -> ObjectList | None:
        """Return the list if it is signed by the invited key, for this repository and snapshot; otherwise reject it."""
        if known.digest and (remembered := self._lists.get(known.digest)) is not None:
            return remembered
        limit_bytes = _limit(self._largest_list_bytes, LIST_FLOOR_BYTES, MAXIMUM_BYTES)
        content = read_small(OBJECT_LIST, limit_bytes, folder=folder)
        signature = read_small(SIGNATURE, SIGNATURE_BYTES, folder=folder)
        known.digest = hashlib.sha256(content + signature).hexdigest()
        if arrival.state == REJECTED and arrival.list_hash == known.digest:
            known.is_refused = True
            return None
        object_list = self._checked(arrival, known, content, signature)
        if object_list is None:
            return None
        if object_list.manifest.size_bytes > _limit(self._largest_manifest_bytes, MANIFEST_FLOOR_BYTES, MANIFEST_BYTES):
            raise NotAFileError("its manifest", "larger than it can be")
        self._lists.put(known.digest, object_list)
        return object_list

    def _checked(self, arrival: Arrival, known: _Known, content: bytes, signature: bytes) -> ObjectList | None:
        try:
            object_list = decode_object_list(content, SnapshotId(arrival.snapshot))
        except IntegrityError:
            object_list = None
        is_own = object_list is not None and object_list.repository_id == self._history.repository.repository_id
        is_recorded = arrival.list_hash == known.digest  # checked before this program started
        if is_own and (is_recorded or self._verifier.is_valid(content, signature)):
            if not is_recorded:
                self._records.record(replace(arrival, state=IN_FLIGHT, list_hash=known.digest))
            return object_list
        known.is_refused = True
        self._records.record(replace(arrival, state=REJECTED, list_hash=known.digest))
        self._found(
            FindingKind.BAD_SIGNATURE,
            arrival.snapshot,
            f"the list of snapshot {arrival.snapshot} is damaged, or was not signed by the server's key",
        )
        return None

    def _odd(self, arrival: Arrival, error: OSError) -> None:
        message = f"snapshot {arrival.snapshot}: {_reason(error)}"
        known = self._known.get(arrival.snapshot)
        if known is not None:
            known.is_refused, known.complaint = True, (FindingKind.ODD_FILE, message)
        self._found(FindingKind.ODD_FILE, arrival.snapshot, message)

    def _all_there(self, object_list: ObjectList, known: _Known, until: float) -> bool:
        with _prefixes(self._received) as opened:
            for number in range(known.there, len(object_list.objects)):
                if number % _LOOK_AT_CLOCK == 0 and time.monotonic() > until:
                    return False
                stored = object_list.objects[number]
                if not self.is_held(stored.name):
                    folder = opened(stored.name[:2])
                    status = status_of(folder, f"{stored.name}.gpg") if folder is not None else None
                    if status is None or status.st_size != stored.size_bytes:
                        return False
                    if self._seen_bad.get(stored.name) == _version(status):
                        return False
                known.there = number + 1
        return True


def _reason(error: OSError) -> str:
    return str(error) if isinstance(error, NotAFileError) else str(error.strerror)


def _limit(largest_bytes: int, floor_bytes: int, ceiling_bytes: int) -> int:
    return min(ceiling_bytes, max(floor_bytes, GROWTH * largest_bytes)) if largest_bytes else ceiling_bytes


def _version(status: os.stat_result) -> Version:
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _prefixes(received: Path) -> Iterator[Callable[[str], int | None]]:
    """Yield a function that returns a descriptor on a folder of objects, None if it is not there; each opened once."""
    with ExitStack() as stack:
        folders: dict[str, int | None] = {}

        def opened(prefix: str) -> int | None:
            if prefix not in folders:
                try:
                    folders[prefix] = stack.enter_context(opened_folder(received, "objects", prefix))
                except FileNotFoundError:
                    folders[prefix] = None
            return folders[prefix]

        yield opened
