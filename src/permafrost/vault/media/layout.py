"""permafrost vault media: the media as they were when a snapshot came, laid out in a folder of their own."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.documents.vault_copies import VaultMediaDocument
from permafrost.errors import RepositoryError, UsageError
from permafrost.events import Progress, Reporter
from permafrost.repository.durable import space_errors
from permafrost.vault.arrivals import KEPT, Records
from permafrost.vault.media.versions import MediaVersion, MediaVersions
from permafrost.vault.settings import Vault

_TELL_EVERY = 1000


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What was laid out, and as of when (the vault's own time)."""

    server: str
    snapshot: str
    as_of: datetime
    files: int
    size_bytes: int
    missing: int
    """Files that should be there and are not; somebody removed them from the history."""
    path: Path

    def document(self) -> VaultMediaDocument:
        """Return it for JSON."""
        return VaultMediaDocument(
            server=self.server,
            snapshot=self.snapshot,
            as_of=self.as_of,
            files=self.files,
            size_bytes=self.size_bytes,
            missing=self.missing,
            path=str(self.path),
        )


def lay_out_media(vault: Vault, name: str, snapshot: str | None, target: Path, report: Reporter) -> LaidOut:
    """Make `target`, a new folder, hold the media that were there when the snapshot came (None: the newest).

    Files are links to those in the history where that is possible: read them, copy them, but do not write into them.
    Raise `RepositoryError` if there is no such snapshot, `UsageError` if `target` exists.
    """
    server = vault.server(name)
    if target.exists():
        raise UsageError(f"{target} already exists", unchanged="everything", hint="give a folder that does not exist")
    history = vault.history(server)
    with closing(Records(vault.records(server))) as records:
        kept = [arrival for arrival in records.arrivals(KEPT) if arrival.arrived_at is not None]
        chosen = [copy for copy in kept if snapshot in (None, copy.snapshot)]
        if not chosen:
            raise RepositoryError(
                f"the history of {name} has no snapshot" + (f" {snapshot}" if snapshot else ""),
                hint="permafrost vault history --path DIR lists them",
            )
        newest = max(chosen, key=lambda arrival: (str(arrival.arrived_at), arrival.snapshot))
        assert newest.arrived_at is not None  # noqa: S101 - as chosen above
        files = size = missing = 0
        with space_errors(target.parent):
            target.mkdir(parents=True)
            versions = MediaVersions(records.database, server.repository_id)
            for version in versions.as_of(newest.arrived_at):
                try:
                    mode = versions.mode_at(version, newest.arrived_at)
                    _place(os.fsencode(history), version, os.fsencode(target), mode)
                except (FileNotFoundError, FileExistsError, NotADirectoryError):
                    # what came later may be a folder where a file was, and has to stand back
                    missing += version.first_at <= newest.arrived_at
                    continue
                files += 1
                size += version.size_bytes
                if files % _TELL_EVERY == 0:
                    report(Progress(files, None, "files"))
    return LaidOut(name, newest.snapshot, newest.arrived_at, files, size, missing, target)


def _place(history: bytes, version: MediaVersion, target: bytes, mode: int | None) -> None:
    """Link the version to its path below `target`, or copy it if it must have other permissions there."""
    source = os.path.join(history, version.place)
    place = os.path.join(target, version.path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if mode is None or stat.S_IMODE(os.lstat(source).st_mode) == mode:
        try:
            os.link(source, place, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
        else:
            return
    shutil.copyfile(source, place, follow_symlinks=False)
    shutil.copystat(source, place, follow_symlinks=False)
    if mode is not None:
        os.chmod(place, mode)
