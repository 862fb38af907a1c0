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
from collections.abc import Iterator
from dataclasses import dataclass

from permafrost.errors import IntegrityError
from permafrost.repository.layout import SnapshotId, object_path, snapshot_path
from permafrost.repository.objects import StoredObject

_TITLE = b"# permafrost objects 1\n"
_REPOSITORY = re.compile(rb"# repository ([0-9a-f]{32})\n")
_SNAPSHOT = re.compile(rb"# snapshot (.+)\n")
_SIZE = rb"# size (0|[1-9][0-9]{0,18}) "
_MANIFEST = re.compile(_SIZE + rb"(snapshots/[0-9TZa-f-]+/manifest\.gpg)\n([0-9a-f]{64})  \2\n")
_OBJECT = re.compile(_SIZE + rb"objects/([0-9a-f]{2})/(\2[0-9a-f]{62})\.gpg\n\3  objects/\2/\3\.gpg\n")
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
        lines = ["# permafrost objects 1", f"# repository {self.repository_id}", f"# snapshot {self.snapshot}"]
        entries = [(self.manifest, manifest_path)]
        entries += [(stored, object_path(stored.name)) for stored in self.objects]
        for stored, path in entries:
            lines.append(f"# size {stored.size_bytes} {path}")
            lines.append(f"{stored.name}  {path}")
        return ("\n".join(lines) + "\n").encode("ascii")


def decode_object_list(content: bytes, snapshot: SnapshotId) -> ObjectList:
    """Return the list that `content` holds, found in the folder of `snapshot`.

    Raise `IntegrityError` unless it is exactly what `ObjectList.encode` writes for that snapshot, one reading of a
    signed text and no other, and names no object twice. A list of 64 MiB takes less than a second, whatever is in it.
    """
    try:
        if not content.startswith(_TITLE):
            raise ValueError("not a permafrost object list of format 1")
        repository = _expected(_REPOSITORY, content, len(_TITLE), "no repository id in its second line")
        named = _expected(_SNAPSHOT, content, repository.end(), "no snapshot in its third line")
        if named[1] != str(snapshot).encode("ascii"):
            raise ValueError("it belongs to another snapshot")
        manifest = _expected(_MANIFEST, content, named.end(), "its first entry is not the manifest")
        if manifest[2] != f"{snapshot_path(snapshot)}/manifest.gpg".encode("ascii"):
            raise ValueError("its first entry is another snapshot's manifest")
        objects = tuple(_objects(content, manifest.end()))
    except ValueError as error:
        raise IntegrityError(f"the object list of snapshot {snapshot} is corrupt: {error}") from error
    stored = StoredObject(manifest[3].decode("ascii"), int(manifest[1]))
    return ObjectList(repository[1].decode("ascii"), snapshot, stored, objects)


def _expected(pattern: re.Pattern[bytes], content: bytes, position: int, otherwise: str) -> re.Match[bytes]:
    found = pattern.match(content, position)
    if found is None:
        raise ValueError(otherwise)
    return found


def _objects(content: bytes, position: int) -> Iterator[StoredObject]:
    names: set[str] = set()
    while position < len(content):
        entry = _OBJECT.match(content, position)
        if entry is None:
            raise ValueError(f"unreadable entry {content[position : position + 100]!r}")
        position = entry.end()
        name = entry[3].decode("ascii")
        if name in names:
            raise ValueError(f"it names the object {name} twice")
        names.add(name)
        yield StoredObject(name, int(entry[1]))
