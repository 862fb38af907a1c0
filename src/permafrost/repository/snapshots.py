"""Snapshots: published by one rename after all that they name is durable, removed the other way round.

docs/format.md, section 3. A snapshot's folder holds manifest.gpg, objects.sha256 and objects.sha256.sig.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.repository.durable import fsync_folder, space_errors, write_new_file
from permafrost.repository.layout import FOLDER_MODE, OBJECT_MODE, Layout, SnapshotId
from permafrost.repository.object_list import MAXIMUM_BYTES, ObjectList, decode_object_list
from permafrost.repository.objects import stored_objects
from permafrost.small_files import read_small

MANIFEST = "manifest.gpg"
OBJECT_LIST = "objects.sha256"
SIGNATURE = "objects.sha256.sig"
_OWN_FILES = (MANIFEST, OBJECT_LIST, SIGNATURE)
_SIGNATURE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal freed."""

    snapshots: tuple[SnapshotId, ...]
    objects: int
    size_bytes: int


def publish_snapshot(layout: Layout, object_list: ObjectList, manifest: bytes, signature: bytes) -> None:
    """Make the snapshot appear, whole and durable, in one step.

    `manifest` is the sealed manifest whose hash the list names. Every object must be durable already.
    """
    temporary = layout.temporary / f"snapshot-{object_list.snapshot}"
    with space_errors(layout.root):
        temporary.mkdir(mode=FOLDER_MODE)
        temporary.chmod(FOLDER_MODE)
        write_new_file(temporary / MANIFEST, manifest, OBJECT_MODE)
        write_new_file(temporary / OBJECT_LIST, object_list.encode(), OBJECT_MODE)
        write_new_file(temporary / SIGNATURE, signature, OBJECT_MODE)
        fsync_folder(temporary)
        fsync_folder(layout.objects)
        temporary.rename(layout.snapshot(object_list.snapshot))
    fsync_folder(layout.snapshots)


def list_snapshots(layout: Layout) -> list[SnapshotId]:
    """Return the snapshots whose folders are there, oldest first, whole or not; foreign names are passed over."""
    if not layout.snapshots.is_dir():
        return []
    names = (entry.name for entry in os.scandir(layout.snapshots) if entry.is_dir(follow_symlinks=False))
    return sorted(SnapshotId(name) for name in names if SnapshotId.is_name(name))


def complete_snapshots(layout: Layout) -> list[SnapshotId]:
    """Return the snapshots whose own three files are there, oldest first; of their objects nothing is said.

    Anyone who can write to the folder can make an empty one with any name, and it must not count as a snapshot.
    """
    return [snapshot for snapshot in list_snapshots(layout) if _own_files(layout, snapshot) == len(_OWN_FILES)]


def _own_files(layout: Layout, snapshot: SnapshotId) -> int:
    """Return how many of a snapshot's own files are there; a link is none."""
    folder = str(layout.snapshot(snapshot))
    return sum(_is_file(f"{folder}/{name}") for name in _OWN_FILES)


def _is_file(path: str) -> bool:
    """Return whether a regular file is there. With one call: this is asked for each snapshot, at each look."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def read_object_list(layout: Layout, snapshot: SnapshotId) -> tuple[ObjectList, bytes, bytes]:
    """Return a snapshot's object list, its bytes and its signature, not yet checked against a key.

    Raise `RepositoryError` if a file is not there, `IntegrityError` if the list is not readable.
    """
    folder = layout.snapshot(snapshot)
    content = _read(folder / OBJECT_LIST, MAXIMUM_BYTES)
    signature = _read(folder / SIGNATURE, _SIGNATURE_BYTES)
    return decode_object_list(content, snapshot), content, signature


def read_sealed_manifest(layout: Layout, object_list: ObjectList) -> bytes:
    """Return manifest.gpg's bytes, which are what the object list says."""
    content = _read(layout.snapshot(object_list.snapshot) / MANIFEST, object_list.manifest.size_bytes)
    if hashlib.sha256(content).hexdigest() != object_list.manifest.name:
        raise IntegrityError(
            f"the manifest of snapshot {object_list.snapshot} is corrupt: its bytes are not what the list says",
            hint="copy the snapshot's folder from another vault",
        )
    return content


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        return read_small(path, limit_bytes)
    except FileNotFoundError as error:
        raise RepositoryError(
            f"{path} does not exist",
            hint="the snapshot may still be arriving; permafrost verify shows that, permafrost snapshots lists the "
            "others",
        ) from error
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}") from error


def remove_snapshots(layout: Layout, doomed: Iterable[SnapshotId]) -> Removed:
    """Remove snapshots, then the objects that no snapshot names any more. Only for a holder of the lock.

    Every remaining snapshot's list is read first: if one cannot be, nothing is removed, since its objects are
    not known. Raise `IntegrityError` or `RepositoryError` then. A folder with none of a snapshot's files names nothing.
    """
    doomed = tuple(sorted(doomed))
    named = [snapshot for snapshot in list_snapshots(layout) if snapshot not in set(doomed)]
    kept = [snapshot for snapshot in named if _own_files(layout, snapshot)]
    needed = {stored.name for snapshot in kept for stored in read_object_list(layout, snapshot)[0].objects}
    for snapshot in doomed:
        # a rename first: no reader ever sees half of a snapshot's folder
        layout.snapshot(snapshot).rename(layout.temporary / f"removed-{snapshot}")
    fsync_folder(layout.snapshots)
    for snapshot in doomed:
        shutil.rmtree(layout.temporary / f"removed-{snapshot}")
    count = size = 0
    for name, file in stored_objects(layout):
        if name not in needed:
            size += file.stat().st_size
            file.unlink()
            count += 1
    return Removed(doomed, count, size)
