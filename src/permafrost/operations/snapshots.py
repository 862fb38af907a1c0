"""permafrost snapshots: the snapshots in a repository, as far as they can be described without a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.documents.snapshots import SnapshotDocument, SnapshotsDocument
from permafrost.errors import PermafrostError
from permafrost.repository.layout import SnapshotId
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import list_snapshots, read_object_list


@dataclass(frozen=True, slots=True)
class ListedSnapshot:
    """A snapshot's name and time, and what its list says; sizes are None while the list is not readable."""

    snapshot: SnapshotId
    made_at: datetime
    objects: int | None
    size_bytes: int | None
    new_bytes: int | None
    problem: str | None

    def document(self) -> SnapshotDocument:
        """Return it for JSON."""
        return SnapshotDocument(
            snapshot=str(self.snapshot),
            made_at=self.made_at,
            objects=self.objects,
            size_bytes=self.size_bytes,
            new_bytes=self.new_bytes,
            problem=self.problem,
        )


def snapshots_document(path: Path, listed: Sequence[ListedSnapshot]) -> SnapshotsDocument:
    """Return the list of a repository's snapshots for JSON."""
    return SnapshotsDocument(str(path), tuple(one.document() for one in listed))


def list_repository(path: Path) -> tuple[ListedSnapshot, ...]:
    """Return the repository's snapshots, oldest first.

    `size_bytes` is all that a snapshot needs, `new_bytes` what no older one there needs.
    """
    repository = Repository.open(path)
    known: set[str] = set()
    listed = []
    for snapshot in list_snapshots(repository.layout):
        try:
            object_list, _, _ = read_object_list(repository.layout, snapshot)
        except PermafrostError as error:
            listed.append(ListedSnapshot(snapshot, snapshot.made_at, None, None, None, error.message))
            continue
        size = sum(stored.size_bytes for stored in object_list.objects) + object_list.manifest.size_bytes
        fresh = [stored for stored in object_list.objects if stored.name not in known]
        known.update(stored.name for stored in fresh)
        new = sum(stored.size_bytes for stored in fresh) + object_list.manifest.size_bytes
        listed.append(ListedSnapshot(snapshot, snapshot.made_at, len(object_list.objects), size, new, None))
    return tuple(listed)
