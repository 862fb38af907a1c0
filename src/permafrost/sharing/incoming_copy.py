"""Where a new server receives what a vault sends back: `.receiving` in the folder, until everything has its name."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from permafrost.errors import SpaceError, UsageError
from permafrost.repository.durable import fsync_folder, write_durably
from permafrost.small_files import read_small
from permafrost.syncthing.folders import Folder
from permafrost.vault.sending import MEDIA, REPOSITORY, REQUEST_BYTES, SendBackRequest, Sent


class IncomingCopy:
    """The folder that everything comes into."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.working = root / ".receiving"
        self.syncthing = self.working / "syncthing"
        self.received = self.working / "copy"
        self._request = self.working / "request.json"

    def refuse_what_is_there(self) -> None:
        """Raise `UsageError` if something has a name that is to be given."""
        for name in (REPOSITORY, MEDIA):
            if os.path.lexists(self.root / name):
                raise UsageError(
                    f"{self.root / name} already exists",
                    unchanged="everything",
                    hint="give a folder that does not contain it",
                )

    def refuse_too_much(self, need_bytes: int) -> None:
        """Raise `SpaceError` if the disk has no room for what is still to come."""
        free = shutil.disk_usage(self.root).free
        if need_bytes > free:
            raise SpaceError(
                f"{need_bytes} bytes are still to come, and {free} are free in {self.root}",
                unchanged="what has arrived already",
                hint="make room, and run this again",
            )

    def request(self) -> SendBackRequest | None:
        """Return what was asked for in an earlier run that was cut short."""
        with suppress(OSError, ValueError):
            return SendBackRequest.model_validate_json(read_small(self._request, REQUEST_BYTES))
        return None

    def remember(self, request: SendBackRequest) -> None:
        """Make the request be there for the next run."""
        write_durably(self._request, request.model_dump_json().encode("utf-8"), 0o600)

    def folder(self, request: SendBackRequest) -> Folder:
        """Return the folder as Syncthing should have it."""
        return Folder(request.folder_id, "sent back", self.received, "copy", is_sent=False)

    def finish(self, sent: Sent) -> tuple[Path, Path | None]:
        """Give repository and media their names, and take away all else."""
        for name in (REPOSITORY, MEDIA) if sent.media else (REPOSITORY,):
            (self.received / name).mkdir(exist_ok=True)  # an empty one does not travel, if nothing is in it
            (self.received / name).rename(self.root / name)
        fsync_folder(self.root)
        shutil.rmtree(self.working)
        return self.root / REPOSITORY, self.root / MEDIA if sent.media else None
