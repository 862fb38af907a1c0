"""Arrivals from a server: noticed, awaited until complete, compared, and taken into the history."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from permafrost.events import Progress, Reporter
from permafrost.findings import FindingKind, FindingSink
from permafrost.openpgp.signing import Verifier
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import is_ahead
from permafrost.repository.objects import StoredObject
from permafrost.small_files import NotAFileError, opened_folder
from permafrost.vault.arrivals import DROPPED, IN_FLIGHT, KEPT, Arrival, KeptObject, Records
from permafrost.vault.cost import file_cost, snapshot_cost
from permafrost.vault.history import HistoryRules, may_take
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault_keeping.candidates import Candidate, Candidates

MOST_WATCHED = 2000
"""So many snapshots that are not in the history are looked at; no honest server sends more."""
MOST_LISTED = 20_000
"""So many names are read of the received folder of snapshots in one look."""
SERVER_CLOCK_AHEAD = timedelta(days=1)
_RECORD_EVERY = 256


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
        self._records = records
        self._found = found
        self._report = report
        self.candidates = Candidates(received, history, verifier, records, found)
        self._progress = ("", 0)
        """The candidate that is being taken (by its digest), and how many of its objects are in the history."""
        self._begun: tuple[str, Iterator[int]] | None = None
        """The object that was being read when time was up, and the rest of the work on it."""

    def there(self) -> frozenset[SnapshotId] | None:
        """Return the snapshots whose folders are there; None if the received folder itself is not."""
        known = [SnapshotId(arrival.snapshot) for arrival in self._records.arrivals()]
        try:
            with opened_folder(self._received, "snapshots") as folder:
                names = self._names(folder)
                # however many names there are: what is known is looked for by its own
                present = {snapshot for snapshot in known if snapshot.text in names or _is_folder(folder, snapshot)}
        except (FileNotFoundError, NotAFileError):
            return frozenset() if self._received.is_dir() else None
        return frozenset(present | {SnapshotId(name) for name in names if SnapshotId.is_name(name)})

    def _names(self, folder: int) -> set[str]:
        """Return the names of the folders in it, up to `MOST_LISTED`."""
        with os.scandir(folder) as entries:
            names = {entry.name for entry in islice(entries, MOST_LISTED) if entry.is_dir(follow_symlinks=False)}
            if next(entries, None) is not None:
                message = f"more than {MOST_LISTED} names lie in the received folder of snapshots; the rest is ignored"
                self._found(FindingKind.TOO_MANY_SNAPSHOTS, "names", message)
        return names

    def notice(self, there: frozenset[SnapshotId], now: datetime, wall: datetime) -> None:
        """Record the snapshots that are new, and forget those that never came and are gone.

        Those with a plausible date come first, the newest before the others: made-up names cannot use up the room.
        """
        known = {arrival.snapshot: arrival for arrival in self._records.arrivals()}
        gone = [
            entry.snapshot
            for entry in known.values()
            if entry.state != KEPT and SnapshotId(entry.snapshot) not in there
        ]
        # for an hour a dropped one still counts as taken
        recent = {
            snapshot_id
            for snapshot_id in gone
            if (at := known[snapshot_id].arrived_at) and now - at < timedelta(hours=1)
        }
        self._records.forget(set(gone) - recent)
        fresh = sorted(there - {SnapshotId(name) for name in known}, reverse=True)
        fresh.sort(key=lambda snapshot: is_ahead(snapshot, wall))
        watched = sum(entry.state not in (KEPT, DROPPED) for entry in known.values())
        room = max(0, MOST_WATCHED - watched)
        if len(fresh) > room:
            self._found(
                FindingKind.TOO_MANY_SNAPSHOTS,
                "repository",
                f"{len(fresh)} snapshots arrived at once; most are ignored",
            )
        with self._records.together():
            for snapshot in fresh[:room]:
                self._records.record(Arrival(str(snapshot), now, IN_FLIGHT))
                if snapshot.made_at - wall > SERVER_CLOCK_AHEAD:
                    self._found(
                        FindingKind.SERVER_CLOCK,
                        "clock",
                        f"snapshot {snapshot} claims to be of {snapshot.made_at:%Y-%m-%d}, in the future: the clock of "
                        "the server or of this vault is wrong",
                    )

    def room(self, rules: HistoryRules, now: datetime) -> int:
        """Return how many more snapshots may be taken now."""
        taken = [
            arrival.arrived_at for arrival in self._records.arrivals(KEPT, DROPPED) if arrival.arrived_at is not None
        ]
        return may_take(taken, rules, now)

    def cost_bytes(self, candidate: Candidate) -> int:
        """Return how much the history would grow by the candidate: objects, its own files, and their entries."""
        held = self.candidates.is_held
        new = sum(file_cost(stored.size_bytes) for stored in candidate.object_list.objects if not held(stored.name))
        return new + snapshot_cost(candidate.own_bytes)

    def has_begun(self, candidate: Candidate) -> bool:
        """Return whether a part of the candidate was taken in an earlier turn."""
        return self._progress[0] == candidate.digest

    def begin_again(self) -> None:
        """Look at all objects again before a snapshot is published: some were dropped from the history."""
        self._progress = ("", 0)

    def _there_up_to(self, candidate: Candidate) -> int:
        return self._progress[1] if self.has_begun(candidate) else 0

    def take(self, candidate: Candidate, now: datetime, wall: datetime, until: float) -> Arrival | None:
        """Return the snapshot once it is in the history, every new object's bytes having been compared.

        None if the time `until` (monotonic) is up, and the rest is for the next turn; or if something is not what it
        should be, which is reported. What was compared is not read again.
        """
        object_list = candidate.object_list
        taken: list[KeptObject] = []
        try:
            manifest, signature = self.candidates.own_files(candidate)
            for number, stored in enumerate(object_list.objects):
                if number < self._there_up_to(candidate):
                    continue
                if time.monotonic() > until:
                    return None
                self._progress = (candidate.digest, number)
                if self.candidates.is_held(stored.name) and self._history.holds(stored.name):
                    continue
                if not self._take_object(candidate, stored, until):
                    return None
                taken.append(KeptObject(stored.name, stored.size_bytes, now, is_good=True))
                self._report(Progress(number + 1, len(object_list.objects), "objects"))
                if len(taken) >= _RECORD_EVERY:
                    self._record(taken)
        except FileNotFoundError:
            return None  # its own files were there a moment ago; the next look sees what has become of them
        except NotAFileError as error:
            self.candidates.refuse(candidate, FindingKind.CORRUPT_MANIFEST, str(error))
            return None
        finally:
            self._record(taken)
        self._history.publish(object_list, manifest, signature)
        self.candidates.was_taken(candidate)
        arrival = replace(
            candidate.arrival,
            state=KEPT,
            arrived_at=now,
            arrived_by_clock=wall,
            list_hash=hashlib.sha256(object_list.encode()).hexdigest(),
            objects=len(object_list.objects),
            size_bytes=sum(listed.size_bytes for listed in object_list.objects) + len(manifest),
        )
        self._records.record(arrival)
        return arrival

    def _take_object(self, candidate: Candidate, stored: StoredObject, until: float) -> bool:
        """Return whether the object is in the history now; one that time was too short for is continued next time."""
        if self._begun is None or self._begun[0] != stored.name:
            self._begun = (stored.name, self._history.taking(self._received, stored))
        name, steps = self._begun
        try:
            for done in steps:
                self._report(Progress(done, stored.size_bytes, "bytes"))
                if time.monotonic() > until:
                    return False
        except FileNotFoundError:
            self.candidates.look_again(candidate)  # it was there a moment ago
        except NotAFileError:
            self.candidates.look_again(candidate)
            self.candidates.remember_bad(name)
            self._found(
                FindingKind.CORRUPT_OBJECT,
                name,
                f"the object {name} of snapshot {candidate.arrival.snapshot} does not match its name",
            )
        else:
            self._begun = None
            return True
        self._begun = None
        return False

    def _record(self, taken: list[KeptObject]) -> None:
        if taken:
            self._history.settle(stored.name for stored in taken)
            with self._records.together():
                self._records.record_objects(taken)
            taken.clear()


def _is_folder(folder: int, snapshot: SnapshotId) -> bool:
    try:
        return stat.S_ISDIR(os.stat(str(snapshot), dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
