"""The history of one server: a repository of format 1 that Syncthing does not know about, made of the vault's own
links.

An object is linked to a name of our own first, then read, and only then published, so that what was compared is what
is kept. A snapshot is published after all its objects. What a process that was killed had published is found again
and not read twice; what it had only begun is in tmp/, and the next one removes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from permafrost.errors import IntegrityError
from permafrost.openpgp.fingerprints import in_groups
from permafrost.repository.durable import fsync_folder, make_folder_durably, write_durably
from permafrost.repository.layout import FACTS_FILE, FOLDER_MODE, FORMAT, SIGNING_KEY_FILE, Layout, SnapshotId
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject, stored_objects
from permafrost.repository.repository import Repository, RepositoryFacts
from permafrost.repository.snapshots import Removed, list_snapshots, publish_snapshot, remove_snapshots
from permafrost.small_files import NotAFileError, opened_folder, read_small
from permafrost.vault.linking import hashing, take
from permafrost.vault.settings import VaultServer

_SMALL_BYTES = 1 << 20


class HistoryFolder:
    """The folder, once it is a repository."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.layout: Layout = repository.layout

    @classmethod
    def opened(cls, path: Path, received: Path, server: VaultServer) -> HistoryFolder | None:
        """Return the history at `path`, made from what was received if it is not there; None if that is not there yet.

        Only the repository and the signing key of the invitation are believed. README.txt and restore.py are this
        program's own, never what the server sent. Raise `IntegrityError` if what is there belongs to another.
        """
        if not (path / FACTS_FILE).exists() and not _make(path, received, server):
            return None
        repository = Repository.open(path)
        _refuse_another(repository.facts, server)
        repository.place_emergency_files()
        return cls(repository)

    def snapshots(self) -> dict[SnapshotId, datetime]:
        """Return the snapshots in the history, and when each was put there by the machine's clock."""
        return {
            snapshot: datetime.fromtimestamp(self.layout.snapshot(snapshot).lstat().st_ctime, UTC)
            for snapshot in list_snapshots(self.layout)
        }

    def objects(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of every object in the history."""
        for name, file in stored_objects(self.layout):
            yield name, file.lstat().st_size

    def holds(self, name: str) -> bool:
        """Return whether there is a file for the object."""
        return self.layout.object(name).is_file()

    def take_object(self, received: Path, expected: StoredObject) -> None:
        """Make the object part of the history, its bytes having been compared with its name.

        Raise `FileNotFoundError` if it has not come, `NotAFileError` if it is not what it should be. Its folder's
        entry is durable after `settle`.
        """
        for _ in self.taking(received, expected):
            pass

    def taking(self, received: Path, expected: StoredObject) -> Iterator[int]:
        """Do what `take_object` does in steps, yielding the bytes read: an object of any size can be left."""
        staged = self.layout.temporary / f"{expected.name}.gpg"
        with opened_folder(received, "objects", expected.name[:2]) as folder:
            status = take(folder, f"{expected.name}.gpg", staged)
        try:
            if status.st_size != expected.size_bytes or (yield from hashing(staged)) != expected:
                raise NotAFileError(f"the object {expected.name}", "not what its name says")
            place = self.layout.object(expected.name)
            make_folder_durably(place.parent, FOLDER_MODE)
            staged.replace(place)  # if both are links to one file, rename(2) does nothing and leaves both
        finally:
            staged.unlink(missing_ok=True)

    def settle(self, names: Iterable[str]) -> None:
        """Make the entries of these objects last."""
        for prefix in sorted({name[:2] for name in names}):
            fsync_folder(self.layout.objects / prefix)

    def publish(self, object_list: ObjectList, manifest: bytes, signature: bytes) -> None:
        """Publish the snapshot, whose objects all exist; an existing one stays as it is."""
        if not self.layout.snapshot(object_list.snapshot).exists():
            publish_snapshot(self.layout, object_list, manifest, signature)

    def drop(self, doomed: Iterable[SnapshotId]) -> Removed:
        """Remove snapshots, and the objects that no other one needs."""
        return remove_snapshots(self.layout, doomed)


def _make(path: Path, received: Path, server: VaultServer) -> bool:
    try:
        with opened_folder(received) as folder:
            facts, key = (read_small(name, _SMALL_BYTES, folder=folder) for name in (FACTS_FILE, SIGNING_KEY_FILE))
    except (FileNotFoundError, NotAFileError):
        return False
    try:
        _refuse_another(RepositoryFacts.model_validate_json(facts), server)
    except ValidationError as error:
        raise IntegrityError(f"the server {server.name} sends a {FACTS_FILE} that cannot be read") from error
    layout = Layout(path)
    for place in (path, layout.objects, layout.snapshots):
        make_folder_durably(place, FOLDER_MODE)
    layout.temporary.mkdir(mode=0o700, exist_ok=True)
    write_durably(layout.signing_key, key, 0o444)
    write_durably(layout.facts, facts, 0o444)  # last: before it, this is no repository
    return True


def _refuse_another(facts: RepositoryFacts, server: VaultServer) -> None:
    if facts.format != FORMAT or facts.repository != server.repository_id:
        raise IntegrityError(
            f"the server {server.name} sends a different repository than the one this vault was invited to",
            hint="if it was set up again, move this server's history/ and keeping.sqlite away; otherwise ask its admin",
        )
    if facts.signing_key.upper() != server.fingerprint:
        raise IntegrityError(
            f"the server {server.name} has another signing key than {in_groups(server.fingerprint)}",
            hint="trust nothing from it until you know why",
        )


def free_bytes(folder: Path) -> tuple[int, int]:
    """Return how much of the disk that holds `folder` is free for this user, and its whole size."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
