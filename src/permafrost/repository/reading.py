"""Reads a snapshot, trusting nothing that was not checked first (docs/format.md, section 7)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.openpgp.sealing import OpeningKey, open_bytes
from permafrost.openpgp.signing import Verifier
from permafrost.repository.layout import SnapshotId, in_zone
from permafrost.repository.manifest import Manifest, decode_manifest
from permafrost.repository.newest import newest
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject, open_object
from permafrost.repository.repository import SMALL_BYTES, Repository
from permafrost.repository.snapshots import complete_snapshots, list_snapshots, read_object_list, read_sealed_manifest
from permafrost.small_files import read_small

READERS = 2
"""Objects read at the same time: hashing lets go of the interpreter, and small machines have two processors."""
_MANIFEST_BYTES = 256 << 20
_ELSEWHERE = "trust nothing in this folder until you know why; restore from another vault"


@dataclass(frozen=True, slots=True)
class CheckedSnapshot:
    """A snapshot whose signature, list and manifest were found to belong together."""

    object_list: ObjectList
    manifest: Manifest

    def stored(self, index: int) -> StoredObject:
        """Return the object at `index` of the list."""
        return self.object_list.objects[index]


def choose_snapshot(repository: Repository, choice: SnapshotId | None, now: datetime) -> SnapshotId:
    """Return `choice`, the newest that the clock allows if None; raise `RepositoryError` if there is none.

    A folder that lacks one of a snapshot's own files is never the newest, whatever its name.
    """
    if choice is None:
        latest = newest(complete_snapshots(repository.layout), now)
        if latest is None:
            is_arriving = bool(list_snapshots(repository.layout))
            raise RepositoryError(
                f"the repository at {repository.path} has no snapshot" + (" that is complete" if is_arriving else ""),
                hint="permafrost verify shows what is missing" if is_arriving else "create one with permafrost backup",
            )
        return latest
    if choice not in list_snapshots(repository.layout):
        raise RepositoryError(
            f"the repository at {repository.path} has no snapshot {choice}", hint="permafrost snapshots lists them"
        )
    return choice


def newest_not_after(repository: Repository, moment: datetime) -> SnapshotId:
    """Return the newest snapshot made at `moment` (with a time zone) or before it.

    Raise `RepositoryError` if there is none so old; it names the oldest.
    """
    there = complete_snapshots(repository.layout)
    if not there:
        return choose_snapshot(repository, None, moment)
    fitting = [snapshot for snapshot in there if snapshot.made_at <= moment]
    if not fitting:
        raise RepositoryError(
            f"there is no snapshot as old as {moment:%Y-%m-%d %H:%M:%S %z}",
            unchanged="everything",
            hint=f"the oldest is {there[0]}, made {in_zone(there[0].made_at, moment.tzinfo):%Y-%m-%d %H:%M:%S %z}; "
            "another vault may have older ones",
        )
    return fitting[-1]


def make_verifier(repository: Repository, fingerprint: str | None, home: Path) -> Verifier:
    """Return a verifier for the repository's signatures, in the empty GnuPG home `home`.

    With a `fingerprint` (of the configuration or the recovery sheet) the repository's key must be that one;
    without, the repository's own key is trusted, and the caller must say so.
    """
    try:
        public_key = read_small(repository.layout.signing_key, SMALL_BYTES)
    except OSError as error:
        raise IntegrityError(
            f"{repository.layout.signing_key} cannot be read: {error.strerror}", hint="copy it from another vault"
        ) from error
    return Verifier(home, public_key, (fingerprint or repository.fingerprint).replace(" ", ""))


def read_snapshot(
    repository: Repository, snapshot: SnapshotId, verifier: Verifier, key: OpeningKey, home: Path
) -> CheckedSnapshot:
    """Return the snapshot, checked; its objects' bytes are checked by `check_objects` and when they are opened.

    1. The list is signed by the expected key.
    2. The list is this repository's and this snapshot's.
    3. The sealed manifest is the one that the list names.
    4. The key opens it, and it names the same repository, snapshot and signing key.
    5. It refers to every object of the list once, and to no other.

    Raise `IntegrityError` for the first that does not hold, `KeyFileError` if the key does not open it.
    """
    object_list, sealed = read_signed(repository, snapshot, verifier)
    manifest = decode_manifest(open_bytes(home, key, [sealed], limit_bytes=_MANIFEST_BYTES))
    same = (
        manifest.repository == repository.repository_id
        and manifest.snapshot == str(snapshot)
        and manifest.signing_key.upper() == verifier.fingerprint
    )
    if not same:
        raise IntegrityError(
            f"the manifest of snapshot {snapshot} belongs to another snapshot or repository", hint=_ELSEWHERE
        )
    if sorted(stored.index for stored in manifest.objects) != list(range(len(object_list.objects))):
        raise IntegrityError(
            f"the manifest of snapshot {snapshot} and its list name different objects", hint=_ELSEWHERE
        )
    return CheckedSnapshot(object_list, manifest)


def read_signed(repository: Repository, snapshot: SnapshotId, verifier: Verifier) -> tuple[ObjectList, bytes]:
    """Return the snapshot's list and its sealed manifest, having checked 1 to 3 of `read_snapshot`."""
    object_list, content, signature = read_object_list(repository.layout, snapshot)
    if not verifier.is_valid(content, signature):
        raise IntegrityError(f"snapshot {snapshot} was not signed by this server", hint=_ELSEWHERE)
    if object_list.repository_id != repository.repository_id:
        raise IntegrityError(f"snapshot {snapshot} belongs to another repository", hint=_ELSEWHERE)
    return object_list, read_sealed_manifest(repository.layout, object_list)


def check_objects(
    repository: Repository, checked: CheckedSnapshot, on_bytes: Callable[[int, int], None] | None = None
) -> None:
    """Read every object of the snapshot and compare it with its name; raise `IntegrityError` for the first bad one.

    `on_bytes` hears bytes done and in all.
    """
    total = sum(stored.size_bytes for stored in checked.object_list.objects)
    done = 0

    def check(stored: StoredObject) -> int:
        with open_object(repository.layout, stored):
            return stored.size_bytes

    with ThreadPoolExecutor(READERS) as readers:
        try:
            for size in readers.map(check, checked.object_list.objects):
                done += size
                if on_bytes is not None:
                    on_bytes(done, total)
        except BaseException:
            readers.shutdown(wait=True, cancel_futures=True)
            raise
