"""What a bucket holds of a repository, hidden and overwritten versions too: one listing.

Whoever has a key that may write can put a deletion marker over an object, or other bytes under its name. Neither takes
a locked version away. So all versions are listed, and the right one is the one whose bytes have the name, or the
signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from permafrost.buckets.files import SNAPSHOT_FILES
from permafrost.buckets.store import BucketStore, Version
from permafrost.repository.layout import SnapshotId, snapshot_path


@dataclass(frozen=True, slots=True)
class Listing:
    """The versions of each path of the repository, those put first in front."""

    versions: Mapping[str, Sequence[Version]]

    def of(self, path: str) -> Sequence[Version]:
        """Return the versions of the file at `path`."""
        return self.versions.get(path, ())

    def snapshots(self) -> list[SnapshotId]:
        """Return the snapshots whose own three files have been put there, the newest first; their names may lie."""
        names = {path.split("/")[1] for path in self.versions if path.startswith("snapshots/") and path.count("/") == 2}
        found = [SnapshotId(name) for name in names if SnapshotId.is_name(name)]
        return sorted((one for one in found if self._has_files(one)), reverse=True)

    def _has_files(self, snapshot: SnapshotId) -> bool:
        return all(f"{snapshot_path(snapshot)}/{name}" in self.versions for name in SNAPSHOT_FILES)


def list_repository(store: BucketStore, below: str = "") -> Listing:
    """Return what the bucket holds of the repository, or of a folder `below` it. Raise `BucketError`."""
    root = f"{store.address.root}/"
    found: dict[str, list[Version]] = {}
    for version in store.versions(root + below):
        found.setdefault(version.key.removeprefix(root), []).append(version)
    for versions in found.values():
        versions.reverse()  # a listing has the newest first, and its times are whole seconds
        versions.sort(key=lambda one: one.modified_at)
    return Listing(found)
