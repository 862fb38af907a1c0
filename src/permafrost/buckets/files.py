"""The files of a repository as a bucket gets them, and in which order.

1. What anybody needs first: README.txt, restore.py, the signing key and repository.json. They may change.
2. A snapshot's objects, each named by its SHA-256.
3. The snapshot's own files, its signature last: a snapshot whose three files are there has all that it needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from permafrost.repository.layout import BASE_FILES, Layout, SnapshotId, object_path, snapshot_path
from permafrost.repository.repository import SMALL_BYTES
from permafrost.repository.snapshots import MANIFEST, OBJECT_LIST, SIGNATURE, read_object_list
from permafrost.small_files import read_small

SNAPSHOT_FILES = (MANIFEST, OBJECT_LIST, SIGNATURE)
MOST_VERSIONS = 200
"""So many versions of a file are tried in search of the right one, which is nearly always the first."""


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """A file at `path` in the repository, with the SHA-256 and the size that it should have."""

    path: str
    sha256: str
    size_bytes: int


def base_files(layout: Layout) -> Iterator[RepositoryFile]:
    """Yield what is in a repository besides its folders, as it is now."""
    for name in BASE_FILES:
        content = read_small(layout.root / name, SMALL_BYTES)
        yield RepositoryFile(name, hashlib.sha256(content).hexdigest(), len(content))


def object_files(layout: Layout, snapshot: SnapshotId) -> list[RepositoryFile]:
    """Return the objects that a snapshot needs."""
    object_list, _, _ = read_object_list(layout, snapshot)
    return [RepositoryFile(object_path(one.name), one.name, one.size_bytes) for one in object_list.objects]


def snapshot_files(layout: Layout, snapshot: SnapshotId) -> list[RepositoryFile]:
    """Return the snapshot's own files, in the order in which they are to appear."""
    object_list, content, signature = read_object_list(layout, snapshot)
    folder = snapshot_path(snapshot)
    return [
        RepositoryFile(f"{folder}/{MANIFEST}", object_list.manifest.name, object_list.manifest.size_bytes),
        RepositoryFile(f"{folder}/{OBJECT_LIST}", hashlib.sha256(content).hexdigest(), len(content)),
        RepositoryFile(f"{folder}/{SIGNATURE}", hashlib.sha256(signature).hexdigest(), len(signature)),
    ]
