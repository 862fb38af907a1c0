"""Re-reads what is kept, a part each day, and repairs what has rotted from what the server still has.

A disk may forget bits at any time. An object in the history and the received one are links to the same bytes, so a
second copy is not here: the received one is taken away, and Syncthing told to fetch it again. Until it has come, the
damaged one stays where it is; every reader compares it with its name.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.events import Progress, Reporter
from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.layout import object_path
from permafrost.repository.objects import StoredObject
from permafrost.small_files import opened_folder
from permafrost.syncthing.client import Client
from permafrost.syncthing.refetching import Refetching
from permafrost.vault.arrivals import KeptObject, Records
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.linking import HashSteps, finished, finished_by, hashing, hashing_within, status_of
from permafrost.vault_keeping.pace import Pace

_BATCH = 32
_SIZE_EVERY = timedelta(minutes=1)
_DAY = "audit-day"
_DONE = "audit-bytes"


class Audit:
    """The audit of one server's history."""

    def __init__(
        self,
        received: Path,
        history: HistoryFolder,
        records: Records,
        found: FindingSink,
        report: Reporter,
        *,
        client: Client | None,
        folder_id: str,
    ) -> None:
        self._received = received
        self._history = history
        self._records = records
        self._found = found
        self._report = report
        self._refetching = Refetching(client, folder_id, report)
        self._begun: tuple[str, HashSteps] | None = None
        self._size_bytes = 0
        self._size_pace = Pace(_SIZE_EVERY)

    def slice(self, now: datetime, days: int, until: float) -> None:
        """Read what is due at `now` (the vault's own time), so that within `days` all is read; until `until`."""
        while time.monotonic() <= until:
            due = self._due(now, days)
            if not due:
                return
            done = 0
            for number, known in enumerate(due):
                if time.monotonic() > until:
                    break
                if not self.read(known, now, until):
                    break
                done += known.size_bytes
                self._report(Progress(number + 1, len(due), "objects"))
            self._note(now, done)

    def _due(self, now: datetime, days: int) -> tuple[KeptObject, ...]:
        """Return what is to be read next.

        A day's slice is a share that would do in a day less, so that a day off costs nothing. It is spread over the
        day. What is older than `days` is due at once.
        """
        late = self._records.oldest_verified(now - timedelta(days=days), _BATCH)
        if late:
            return late
        if self._size_pace.is_due(now):  # not for each object: it takes a look at every one
            self._size_bytes = self._records.size()[1]
            self._size_pace.done(now)
        day_part = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(days=1)
        allowed = math.ceil(self._size_bytes / max(1, days - 1)) * day_part
        if self._done_today(now) >= allowed:
            return ()
        return self._records.oldest_verified(now - timedelta(days=1), 1)

    def _done_today(self, now: datetime) -> int:
        is_of_today = self._records.note(_DAY) == f"{now:%Y-%m-%d}"
        return (self._records.noted_count(_DONE) or 0) if is_of_today else 0

    def _note(self, now: datetime, done: int) -> None:
        total = self._done_today(now) + done
        with self._records.together():
            self._records.set_note(_DAY, f"{now:%Y-%m-%d}")
            self._records.set_note(_DONE, str(total))

    def read(self, known: KeptObject, now: datetime, until: float) -> bool:
        """Read one object from the disk, record how it is, and return True; False if the rest is for the next turn."""
        try:
            if self._begun is None or self._begun[0] != known.name:
                self._begun = (known.name, hashing(self._history.layout.object(known.name), from_disk=True))
            read = finished_by(
                until, self._begun[1], lambda done: self._report(Progress(done, known.size_bytes, "bytes"))
            )
            if read is None:
                return False
            is_good = read == StoredObject(known.name, known.size_bytes)
        except OSError:
            is_good = False
        self._begun = None
        self._records.record_objects([replace(known, verified_at=now, is_good=is_good)])
        if not is_good:
            self._found(
                FindingKind.ROT,
                known.name,
                f"the object {known.name} in the history is damaged or missing; requesting a new copy",
            )
        return True

    def mend(self, now: datetime, until: float) -> None:
        """Replace each damaged object with another copy, if one has arrived; otherwise request it again."""
        for known in self._records.bad_objects():
            if time.monotonic() > until:
                return
            if self._has_come(known):
                self._history.take_object(self._received, StoredObject(known.name, known.size_bytes))
                self._history.settle([known.name])
                self._records.record_objects([replace(known, verified_at=now, is_good=True)])
                self._records.ledger.end(FindingKind.ROT.code, known.name, now)
                self._found(
                    FindingKind.MENDED, known.name, f"the object {known.name} was damaged and has been fetched again"
                )
            else:
                self._ask_for(known.name)

    def _has_come(self, known: KeptObject) -> bool:
        """Return whether the received file is another one than the damaged one, and good."""
        try:
            with opened_folder(self._received, "objects", known.name[:2]) as folder:
                status = status_of(folder, f"{known.name}.gpg")
                if status is None or status.st_size != known.size_bytes:
                    return False
                return finished(hashing_within(folder, f"{known.name}.gpg")).name == known.name
        except OSError:
            return False  # what disappears between this and its use fails the turn, and the next one continues

    def _ask_for(self, name: str) -> None:
        """Make Syncthing fetch the object again, at most once an hour."""
        path = object_path(name)
        if not self._refetching.is_due(path):
            return
        try:
            with opened_folder(self._received, "objects", name[:2]) as folder:
                os.unlink(f"{name}.gpg", dir_fd=folder)
        except OSError:
            pass  # it was taken away before, or the server has pruned it: then whoever else has it has to give it
        self._refetching.request(path, f"the object {name}")
