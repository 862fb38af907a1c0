"""Reads each media file when it has come, and again within a set time; mends what has rotted from the server's copy.

A media file has no name that says what its bytes are, so what they come to is recorded when they are read first, and
they are compared with that later. (An object with sealed media has such a name, and is compared with it at once.) Other
bytes in the same file have rotted: a server replaces a file by another one, which is another version
(vault/media/history.py). The received file and the history's are links to the same bytes, so the received one is taken
away, and Syncthing told to fetch it again; the damaged one stays until a good one has come.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from permafrost.findings import FindingKind, FindingSink
from permafrost.ledger import Ledger
from permafrost.small_files import NotAFileError, opened_folder
from permafrost.vault.linking import HashSteps, finished, finished_by, hashing, status_of, take
from permafrost.vault.media.versions import ROTTEN, SOUND, SUPERSEDED, MediaVersion, MediaVersions

_BATCH = 100


class Refetches(Protocol):
    """Has a damaged file fetched again, from whoever sends it (permafrost.syncthing.refetching)."""

    def is_due(self, path: str) -> bool:
        """Return whether the file at `path` may be requested: then take the damaged one away, and call `request`."""

    def request(self, path: str, name: str) -> None:
        """Have the file fetched, which no longer is at `path`."""


@dataclass(slots=True)
class _Reading:
    """A file that is being read."""

    version: MediaVersion
    steps: HashSteps


class MediaAudit:
    """The audit of one server's media."""

    def __init__(
        self,
        received: Path,
        history: Path,
        versions: MediaVersions,
        ledger: Ledger,
        found: FindingSink,
        *,
        refetching: Refetches,
    ) -> None:
        self._received = received
        self._history = history
        self._versions = versions
        self._ledger = ledger
        self._found = found
        self._refetching = refetching
        self._reading: _Reading | None = None

    def slice(self, now: datetime, days: int, until: float) -> bool:
        """Read what was never read, then what is due so that all is read within `days`; return whether that is done."""
        while time.monotonic() <= until:
            if self._reading is None:
                due = self._versions.unread(_BATCH) or self._versions.verified_before(
                    now - timedelta(days=days) * 0.9, _BATCH
                )
                if not due:
                    return True
            else:
                due = (self._reading.version,)
            for version in due:
                if not self._read(version, now, until):
                    return False
        return False

    def _read(self, version: MediaVersion, now: datetime, until: float) -> bool:
        """Read a version from the disk and record how it is; return False if the rest is for the next turn."""
        if time.monotonic() > until:
            return False
        try:
            if self._reading is None or self._reading.version != version:
                self._reading = _Reading(version, hashing(self._place(version), from_disk=version.sha256 is not None))
            read = finished_by(until, self._reading.steps)
            if read is None:
                return False
            name, size = read.name, read.size_bytes
        except FileNotFoundError:
            self._reading = None
            self._versions.was_read(version, version.sha256 or "", version.state, now)
            return True  # the scan notices what is gone
        except OSError:
            name, size = "", -1  # the disk cannot read it
        self._reading = None
        self._judge(version, name, size, now)
        return True

    def _judge(self, version: MediaVersion, name: str, size: int, now: datetime) -> None:
        expected = self._versions.expected_hash(version) or name
        if size == version.size_bytes and name == expected and name:
            self._versions.was_read(version, name, SOUND, now)
            if version.state != SOUND:
                self._ledger.end(FindingKind.MEDIA_ROT.code, _shown(version), now)
            return
        state = SUPERSEDED if version.gone_at is not None or version.state == SUPERSEDED else ROTTEN
        self._versions.was_read(version, expected, state, now)
        what = "requesting a new copy" if state == ROTTEN else "the server no longer has it"
        self._found(
            FindingKind.MEDIA_ROT,
            _shown(version),
            f"the media file {_shown(version)} in the history is damaged; {what}",
        )

    def mend(self, now: datetime, until: float) -> None:
        """Replace each damaged file with a good copy, if one has arrived; otherwise request it again."""
        number = 0
        while damaged := self._versions.rotten(number, _BATCH):
            for version in damaged:
                number = version.number
                if time.monotonic() > until:
                    return
                self._mend(version, now)

    def _mend(self, version: MediaVersion, now: datetime) -> None:
        *folders, name = os.fsdecode(version.path).split("/")
        staged = self._history / "tmp" / "media-mend"
        try:
            with opened_folder(self._received, *folders) as folder:
                status = status_of(folder, name)
                if status is None or status.st_ino == version.inode:
                    self._ask_for(version, folder if status is not None else None, name)
                    return
                inode = take(folder, name, staged).st_ino
        except (FileNotFoundError, NotAFileError):
            self._ask_for(version, None, name)
            return
        try:
            read = finished(hashing(staged))
            if (read.name, read.size_bytes) == (version.sha256, version.size_bytes):
                staged.replace(self._place(version))
                self._versions.was_read(version, read.name, SOUND, now, inode)
                self._ledger.end(FindingKind.MEDIA_ROT.code, _shown(version), now)
                message = f"the media file {_shown(version)} was damaged and has been fetched again"
                self._found(FindingKind.MENDED, _shown(version), message)
            else:  # the scan keeps what the server has now, and sets this one aside
                self._versions.was_read(version, version.sha256 or "", SUPERSEDED, now)
        finally:
            staged.unlink(missing_ok=True)

    def _ask_for(self, version: MediaVersion, folder: int | None, name: str) -> None:
        """Make Syncthing fetch the file again, at most once an hour; the damaged one is taken away in `folder`."""
        path = os.fsdecode(version.path)
        if not self._refetching.is_due(path):
            return
        if folder is not None:
            os.unlink(name, dir_fd=folder)
        self._refetching.request(path, f"the media file {_shown(version)}")

    def _place(self, version: MediaVersion) -> Path:
        return self._history / os.fsdecode(version.place)


def _shown(version: MediaVersion) -> str:
    return f"media/{version.path.decode('utf-8', 'backslashreplace')}"
