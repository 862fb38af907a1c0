"""Arrivals from a server: noticed, awaited until complete, compared, and taken into the history."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.errors import IntegrityError
from permafrost.events import Progress, Reporter
from permafrost.findings import FindingKind, FindingSink
from permafrost.openpgp.signing import Verifier
from permafrost.repository.layout import SnapshotId
from permafrost.repository.object_list import MAXIMUM_BYTES, ObjectList, decode_object_list
from permafrost.repository.objects import StoredObject
from permafrost.repository.snapshots import MANIFEST, OBJECT_LIST, SIGNATURE
from permafrost.vault.arrivals import DROPPED, IN_FLIGHT, KEPT, REJECTED, WAITING, Arrival, KeptObject, Records
from permafrost.vault.history import HistoryRules, may_take
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.linking import NotAFileError, opened_folder, read_small, status_of

PATIENCE = timedelta(hours=6)
MOST_WATCHED = 2000
"""So many snapshots that are not in the history are looked at; no honest server sends more."""
SERVER_CLOCK_AHEAD = timedelta(days=1)
_SIGNATURE_BYTES = 65536
MANIFEST_BYTES = 256 << 20
_RECORD_EVERY = 256


@dataclass(frozen=True, slots=True)
class Candidate:
    """A snapshot that has arrived and is signed, with all files at the right sizes; none of them is read yet."""

    arrival: Arrival
    object_list: ObjectList
    content: bytes
    signature: bytes
    manifest: bytes


class Intake:
    """The received repository of one server, as something to take from."""

    def __init__(
        self,
        received: Path,
        history: HistoryFolder,
        verifier: Verifier,
        records: Records,
        found: FindingSink,
        report: Reporter,
    ) -> None:
        self._received = received
        self._history = history
        self._verifier = verifier
        self._records = records
        self._found = found
        self._report = report
        self._seen_bad: dict[str, tuple[int, int, int]] = {}

    def there(self) -> frozenset[SnapshotId] | None:
        """Return the snapshots whose folders are there; None if the received folder itself is not."""
        try:
            with opened_folder(self._received, "snapshots") as folder, os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotAFileError):
            return frozenset() if self._received.is_dir() else None
        return frozenset(SnapshotId(name) for name in names if SnapshotId.is_name(name))

    def notice(self, there: frozenset[SnapshotId], now: datetime, wall: datetime) -> None:
        """Record the snapshots that are new, and forget those that never came and are gone."""
        known = {arrival.snapshot: arrival for arrival in self._records.arrivals()}
        gone = [one.snapshot for one in known.values() if one.state != KEPT and SnapshotId(one.snapshot) not in there]
        # for an hour a dropped one still counts as taken
        recent = {one for one in gone if (at := known[one].arrived_at) and now - at < timedelta(hours=1)}
        self._records.forget(set(gone) - recent)
        fresh = sorted(there - {SnapshotId(name) for name in known})
        watched = sum(one.state not in (KEPT, DROPPED) for one in known.values())
        room = max(0, MOST_WATCHED - watched)
        if len(fresh) > room:
            self._found(
                FindingKind.TOO_MANY_SNAPSHOTS,
                "repository",
                f"{len(fresh)} snapshots arrived at once; most are ignored",
            )
        for snapshot in fresh[:room]:
            self._records.record(Arrival(str(snapshot), now, IN_FLIGHT))
            if snapshot.made_at - wall > SERVER_CLOCK_AHEAD:
                self._found(
                    FindingKind.SERVER_CLOCK,
                    "clock",
                    f"snapshot {snapshot} claims to be of {snapshot.made_at:%Y-%m-%d}, in the future: the clock of the "
                    "server or of this vault is wrong",
                )

    def candidates(
        self, there: frozenset[SnapshotId], now: datetime, until: float, *, is_room: bool
    ) -> Iterator[Candidate]:
        """Yield the snapshots that can be taken, those first seen last first; tell of those that never will be.

        Those that wait are passed over while there is no room. Ends at `until` (monotonic).
        """
        states = (IN_FLIGHT, REJECTED, WAITING) if is_room else (IN_FLIGHT, REJECTED)
        open_ones = [one for one in self._records.arrivals(*states) if SnapshotId(one.snapshot) in there]
        for arrival in sorted(open_ones, key=lambda one: (one.seen_at, one.snapshot), reverse=True):
            if time.monotonic() > until:
                return
            try:
                candidate = self._look_at(arrival)
            except NotAFileError as error:
                self._found(FindingKind.ODD_FILE, arrival.snapshot, f"snapshot {arrival.snapshot}: {error}")
                continue
            if candidate is not None:
                yield candidate
            elif arrival.state == IN_FLIGHT and now - arrival.seen_at > PATIENCE:
                self._found(
                    FindingKind.OVERDUE,
                    arrival.snapshot,
                    f"snapshot {arrival.snapshot} is incomplete, and should not be by now",
                )

    def _look_at(self, arrival: Arrival) -> Candidate | None:
        files = self._small_files(arrival)
        if files is None:
            return None
        content, signature, manifest = files
        seen = hashlib.sha256(content + signature).hexdigest()
        if arrival.state == REJECTED and arrival.list_hash == seen:
            return None
        object_list = self._checked(arrival, content, signature, seen)
        if object_list is None or manifest is None or not self._all_there(object_list):
            return None
        if StoredObject(hashlib.sha256(manifest).hexdigest(), len(manifest)) != object_list.manifest:
            self._found(
                FindingKind.CORRUPT_MANIFEST,
                arrival.snapshot,
                f"the manifest of snapshot {arrival.snapshot} is not what was signed",
            )
            return None
        return Candidate(arrival, object_list, content, signature, manifest)

    def _small_files(self, arrival: Arrival) -> tuple[bytes, bytes, bytes | None] | None:
        try:
            with opened_folder(self._received, "snapshots", arrival.snapshot) as folder:
                content = read_small(folder, OBJECT_LIST, MAXIMUM_BYTES)
                signature = read_small(folder, SIGNATURE, _SIGNATURE_BYTES)
                manifest = read_small(folder, MANIFEST, MANIFEST_BYTES)
        except FileNotFoundError:
            return None
        return None if content is None or signature is None else (content, signature, manifest)

    def _checked(self, arrival: Arrival, content: bytes, signature: bytes, seen: str) -> ObjectList | None:
        """Return the list if it is signed by the invited key, for this repository and snapshot; else reject it."""
        try:
            object_list = decode_object_list(content, SnapshotId(arrival.snapshot))
        except IntegrityError:
            object_list = None
        is_own = object_list is not None and object_list.repository_id == self._history.repository.repository_id
        known = arrival.list_hash == seen  # checked in an earlier turn
        if is_own and (known or self._verifier.is_valid(content, signature)):
            if not known:
                self._records.record(replace(arrival, state=IN_FLIGHT, list_hash=seen))
            return object_list
        self._records.record(replace(arrival, state=REJECTED, list_hash=seen))
        self._found(
            FindingKind.BAD_SIGNATURE,
            arrival.snapshot,
            f"the list of snapshot {arrival.snapshot} is damaged, or not signed by this server; it is not taken",
        )
        return None

    def _all_there(self, object_list: ObjectList) -> bool:
        for stored in object_list.objects:
            if self._is_held(stored.name):
                continue
            try:
                with opened_folder(self._received, "objects", stored.name[:2]) as folder:
                    status = status_of(folder, f"{stored.name}.gpg")
            except FileNotFoundError:
                return False
            if status is None or status.st_size != stored.size_bytes:
                return False
            if self._seen_bad.get(stored.name) == _version(status):
                return False
        return True

    def _is_held(self, name: str) -> bool:
        known = self._records.object(name)
        return known is not None and known.is_good

    def room(self, rules: HistoryRules, now: datetime) -> int:
        """Return how many more snapshots may be taken now."""
        taken = [one.arrived_at for one in self._records.arrivals(KEPT, DROPPED) if one.arrived_at is not None]
        return may_take(taken, rules, now)

    def new_bytes(self, candidate: Candidate) -> int:
        """Return how much the history would grow by the candidate's objects."""
        return sum(one.size_bytes for one in set(candidate.object_list.objects) if not self._is_held(one.name))

    def take(self, candidate: Candidate, now: datetime, wall: datetime, until: float) -> Arrival | None:
        """Return the snapshot once it is in the history, every new object's bytes having been compared.

        None if the time `until` (monotonic) is up, and the rest is for the next turn; or if something is not what it
        should be, which is reported. What was compared is not read again.
        """
        object_list = candidate.object_list
        taken: list[KeptObject] = []
        try:
            for number, stored in enumerate(dict.fromkeys(object_list.objects)):
                if time.monotonic() > until:
                    return None
                if self._is_held(stored.name) and self._history.holds(stored.name):
                    continue
                if not self._take_object(candidate, stored):
                    return None
                taken.append(KeptObject(stored.name, stored.size_bytes, now, is_good=True))
                self._report(Progress(number + 1, len(object_list.objects), "objects"))
                if len(taken) >= _RECORD_EVERY:
                    self._record(taken)
        finally:
            self._record(taken)
        self._history.publish(object_list, candidate.manifest, candidate.signature)
        arrival = replace(
            candidate.arrival,
            state=KEPT,
            arrived_at=now,
            arrived_by_clock=wall,
            list_hash=hashlib.sha256(candidate.content).hexdigest(),
            objects=len(object_list.objects),
            size_bytes=sum(one.size_bytes for one in object_list.objects) + len(candidate.manifest),
        )
        self._records.record(arrival)
        return arrival

    def _take_object(self, candidate: Candidate, stored: StoredObject) -> bool:
        try:
            self._history.take_object(
                self._received, stored, lambda done: self._report(Progress(done, stored.size_bytes, "bytes"))
            )
        except FileNotFoundError:
            return False  # it was there a moment ago; whatever it is, the next look tells
        except NotAFileError:
            self._remember_bad(stored.name)
            self._found(
                FindingKind.CORRUPT_OBJECT,
                stored.name,
                f"the object {stored.name} of snapshot {candidate.arrival.snapshot} does not match its name",
            )
            return False
        return True

    def _remember_bad(self, name: str) -> None:
        """Remember which file it was, so that it is not read again until another one takes its place."""
        with suppress(OSError, NotAFileError), opened_folder(self._received, "objects", name[:2]) as folder:
            status = status_of(folder, f"{name}.gpg")
            if status is not None and len(self._seen_bad) < MOST_WATCHED:
                self._seen_bad[name] = _version(status)

    def _record(self, taken: list[KeptObject]) -> None:
        if taken:
            self._history.settle(one.name for one in taken)
            with self._records.together():
                self._records.record_objects(taken)
            taken.clear()


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
