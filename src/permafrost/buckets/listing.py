"""What a bucket holds of a repository, hidden and overwritten versions too: one listing.

Whoever has a key that may write can put a deletion marker over an object, or other bytes under its name. Neither takes
a locked version away. So all versions are listed, and the right one is the one whose bytes have the name, or the
signature.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from permafrost.buckets.files import MOST_VERSIONS, SNAPSHOT_FILES
from permafrost.buckets.store import BucketStore, Version
from permafrost.repository.layout import BASE_FILES, SnapshotId, snapshot_path

_OBJECT = re.compile(r"objects/([0-9a-f]{2})/\1[0-9a-f]{62}\.gpg")


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
    """Return what the bucket holds of the repository, or of what begins with `below` in it. Raise `BucketError`.

    Of each file at most `MOST_VERSIONS` are kept, those put first: whoever may write can put any number over them. What
    no repository has is left out.
    """
    root = f"{store.address.root}/"
    found: dict[str, deque[Version]] = {}
    for version in store.versions(root + below):
        path = version.key.removeprefix(root)
        if version.key.startswith(root) and _is_of_a_repository(path):
            # a listing has the newest first
            found.setdefault(path, deque(maxlen=MOST_VERSIONS)).appendleft(version)
    return Listing({path: _as_put(versions) for path, versions in found.items()})


def _as_put(versions: Sequence[Version]) -> Sequence[Version]:
    """Return them in the order in which they were put: times are whole seconds, then the listing's order holds."""
    return sorted(versions, key=lambda one: one.modified_at)


def _is_of_a_repository(path: str) -> bool:
    if path in BASE_FILES:
        return True
    folder, _, rest = path.partition("/")
    if folder == "snapshots":
        name, _, file = rest.partition("/")
        return SnapshotId.is_name(name) and file in SNAPSHOT_FILES
    return _OBJECT.fullmatch(path) is not None
