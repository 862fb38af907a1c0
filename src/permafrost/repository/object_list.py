"""objects.sha256: what a snapshot needs, in the form that `sha256sum -c` reads (docs/format.md, section 4). Pure.

The list is what the signature signs. It begins with comments that bind it to its repository and snapshot, names
the manifest and every object with its hash, and carries sizes in comments:

    # permafrost objects 1
    # repository 5b1c...
    # snapshot 20261122T234000Z-0a1b2c3d
    # size 1834 snapshots/20261122T234000Z-0a1b2c3d/manifest.gpg
    <sha256>  snapshots/20261122T234000Z-0a1b2c3d/manifest.gpg
    # size 52311 objects/ab/ab...gpg
    <sha256>  objects/ab/ab...gpg
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from permafrost.errors import IntegrityError
from permafrost.repository.layout import SnapshotId, is_repository_id, object_path, snapshot_path
from permafrost.repository.objects import StoredObject

_TITLE = "# permafrost objects 1"
_SIZE = re.compile(r"# size (0|[1-9][0-9]{0,18}) (.+)")
_HASH = re.compile(r"([0-9a-f]{64})  (.+)")
MAXIMUM_BYTES = 64 << 20
"""No honest list is longer: 64 MiB would name some 300,000 objects."""


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A snapshot's needs: its manifest, and its objects in the manifest's order of indices."""

    repository_id: str
    snapshot: SnapshotId
    manifest: StoredObject
    objects: tuple[StoredObject, ...]

    def encode(self) -> bytes:
        """Return the file's bytes."""
        manifest_path = f"{snapshot_path(self.snapshot)}/manifest.gpg"
        lines = [_TITLE, f"# repository {self.repository_id}", f"# snapshot {self.snapshot}"]
        entries = [(self.manifest, manifest_path)]
        entries += [(stored, object_path(stored.name)) for stored in self.objects]
        for stored, path in entries:
            lines.append(f"# size {stored.size_bytes} {path}")
            lines.append(f"{stored.name}  {path}")
        return ("\n".join(lines) + "\n").encode("ascii")


def decode_object_list(content: bytes, snapshot: SnapshotId) -> ObjectList:
    """Return the list that `content` holds, found in the folder of `snapshot`.

    Raise `IntegrityError` unless it is exactly what `ObjectList.encode` writes for that snapshot: one reading of
    a signed text, no other.
    """
    try:
        lines = content.decode("ascii").split("\n")
        if lines[0] != _TITLE or lines[-1] or len(lines) % 2:
            raise ValueError("not a permafrost object list of format 1")
        repository_id = lines[1].removeprefix("# repository ")
        if not is_repository_id(repository_id):
            raise ValueError("no repository id in its second line")
        if lines[2] != f"# snapshot {snapshot}":
            raise ValueError("it belongs to another snapshot")
        entries = [_entry(lines[index], lines[index + 1]) for index in range(3, len(lines) - 1, 2)]
        manifest = entries[0][0]
        decoded = ObjectList(repository_id, snapshot, manifest, tuple(stored for stored, _ in entries[1:]))
    except (UnicodeDecodeError, ValueError, IndexError) as error:
        raise IntegrityError(f"the object list of snapshot {snapshot} is corrupt: {error}") from error
    if decoded.encode() != content:
        raise IntegrityError(f"the object list of snapshot {snapshot} is corrupt: paths and hashes do not match")
    return decoded


def _entry(size_line: str, hash_line: str) -> tuple[StoredObject, str]:
    size, hashed = _SIZE.fullmatch(size_line), _HASH.fullmatch(hash_line)
    if not size or not hashed or size[2] != hashed[2]:
        raise ValueError(f"unreadable entry {hash_line[:100]!r}")
    return StoredObject(hashed[1], int(size[1])), hashed[2]
