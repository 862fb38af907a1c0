"""A repository's files come back from a bucket, into a folder that is then read like any other copy.

Rules:

1. Nothing is believed because of where it lies. A list counts if its signature is that of the trusted key, an object
   or a manifest if its bytes have their name; of several versions each is tried until one does.
2. The repository's id is that of the address, so that no other repository.json can take its place.
3. Programs are never fetched: restore.py and README.txt are those of this version.
4. A request that breaks off is made again, since a download of hours meets every kind of network.
5. What is in the folder already counts if it has its size: a fetch resumes. Whoever reads it compares it with its name.
6. Nothing is asked for that a signed list, or the format, does not name, and nothing is read beyond the size that it
   should have. So whoever may write to the bucket can make this slower, and neither endless nor large.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO, TypeVar

from pydantic import ValidationError

from permafrost.buckets.client import PARALLEL
from permafrost.buckets.failures import MissingError
from permafrost.buckets.listing import Listing, list_repository
from permafrost.buckets.store import BucketStore, Version
from permafrost.errors import BucketRefusedError, BucketUnreachableError, IntegrityError, RepositoryError, SpaceError
from permafrost.events import Reporter, Warned, ignore_events
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.signing import Verifier
from permafrost.repository.durable import make_folder_durably, space_errors, write_durably
from permafrost.repository.layout import (
    FACTS_FILE,
    FORMAT,
    OBJECT_MODE,
    SIGNING_KEY_FILE,
    Layout,
    SnapshotId,
    object_path,
    snapshot_path,
)
from permafrost.repository.object_list import MAXIMUM_BYTES, ObjectList, decode_object_list
from permafrost.repository.objects import StoredObject
from permafrost.repository.repository import SMALL_BYTES, Repository, RepositoryFacts
from permafrost.repository.snapshots import MANIFEST, OBJECT_LIST, SIGNATURE

T = TypeVar("T")
_SIGNATURE_BYTES = 65536
_ATTEMPTS = 6
_SPARE_BYTES = 64 << 20
_SNAPSHOTS = "snapshots/"
_MOST_OF_OWN = 50
"""So many versions of a file that is not named by its hash are tried, those put first; each costs a run of gpg."""
_WARN_EVERY = 20


@dataclass(slots=True)
class Fetcher:
    """Fetches what a bucket holds of the repository at its address into `folder`, which is ours alone."""

    store: BucketStore
    folder: Path
    report: Reporter = ignore_events
    _listing: Listing | None = None
    _done_bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    @property
    def layout(self) -> Layout:
        """The places in the folder."""
        return Layout(self.folder)

    def listed_snapshots(self) -> list[SnapshotId]:
        """Return the snapshots whose files are there, the newest first; their names may lie."""
        if self._listing is None:
            self._listing = list_repository(self.store, _SNAPSHOTS)
        return self._listing.snapshots()

    def repository(self, fingerprint: str | None) -> Repository:
        """Return the repository in the folder, with no snapshot yet, whose signing key is `fingerprint` if given.

        Without one, what was put into the bucket first is trusted. Raise `RepositoryError` if it is not there.
        """
        facts = self._facts(fingerprint)
        public_key = self._signing_key(facts.signing_key)
        for folder in (self.layout.objects, self.layout.snapshots, self.layout.temporary):
            make_folder_durably(folder)
        write_durably(self.layout.signing_key, public_key, 0o444)
        write_durably(self.layout.facts, facts.model_dump_json(indent=2).encode() + b"\n", 0o444)
        repository = Repository.open(self.folder)
        repository.place_emergency_files()
        return repository

    def snapshots(self, wanted: Iterable[SnapshotId], verifier: Verifier) -> Iterator[SnapshotId]:
        """Yield each wanted snapshot once its own files are in the folder; those that are not signed are left out."""
        unsigned = 0
        for snapshot in wanted:
            if self._fetch_snapshot(snapshot, verifier):
                yield snapshot
                continue
            unsigned += 1
            if unsigned % _WARN_EVERY == 0:
                message = (
                    f"{unsigned} snapshots in the bucket were not signed by this server: somebody has put them there"
                )
                self.report(Warned(f"{message}. An older one is found at once by its id, or by --at"))

    def objects(self, objects: Sequence[StoredObject], on_bytes: Callable[[int, int], None]) -> None:
        """Put the objects into the folder; `on_bytes` hears bytes done and in all.

        Raise `IntegrityError` if none of an object's versions has its name, `SpaceError` if there is no room.
        """
        missing = [one for one in objects if not self._is_here(one)]
        total = sum(one.size_bytes for one in missing)
        self._check_room(total)
        self._done_bytes = 0

        def fetch(stored: StoredObject) -> None:
            self._fetch_object(stored)
            with self._lock:
                self._done_bytes += stored.size_bytes
                on_bytes(self._done_bytes, total)

        with ThreadPoolExecutor(PARALLEL) as pool:
            try:
                for _ in pool.map(fetch, missing):
                    pass
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    # --- what the repository is ---

    def _facts(self, fingerprint: str | None) -> RepositoryFacts:
        address = self.store.address
        there = list(self._contents(FACTS_FILE, SMALL_BYTES))
        for content in reversed(there) if fingerprint else there:
            try:
                facts = RepositoryFacts.model_validate_json(content)
            except ValidationError:
                continue
            is_it = facts.repository == address.repository_id and facts.format == FORMAT
            if is_it and (fingerprint is None or facts.signing_key.upper() == fingerprint.replace(" ", "").upper()):
                return facts
        whose = " with this signing key" if fingerprint and there else ""
        raise RepositoryError(
            f"the bucket {address.bucket} holds no repository {address.repository_id}{whose}",
            hint="compare the address and the fingerprint with the recovery sheet",
        )

    def _signing_key(self, fingerprint: str) -> bytes:
        for content in self._contents(SIGNING_KEY_FILE, SMALL_BYTES):
            with temporary_home() as home:
                try:
                    Verifier(home, content, fingerprint)
                except IntegrityError:
                    continue
            return content
        raise RepositoryError(
            f"the bucket {self.store.name} has no signing key {fingerprint}",
            hint=f"put {SIGNING_KEY_FILE} of another copy there",
        )

    # --- snapshots ---

    def _fetch_snapshot(self, snapshot: SnapshotId, verifier: Verifier) -> bool:
        folder = snapshot_path(snapshot)
        signed = self._signed_list(folder, snapshot, verifier)
        if signed is None:
            return False
        object_list, content, signature = signed
        manifest = object_list.manifest
        for sealed in self._contents(f"{folder}/{MANIFEST}", manifest.size_bytes):
            if hashlib.sha256(sealed).hexdigest() == manifest.name:
                place = self.folder / folder
                make_folder_durably(place)
                for name, written in ((MANIFEST, sealed), (OBJECT_LIST, content), (SIGNATURE, signature)):
                    write_durably(place / name, written, OBJECT_MODE)
                return True
        return False

    def _signed_list(
        self, folder: str, snapshot: SnapshotId, verifier: Verifier
    ) -> tuple[ObjectList, bytes, bytes] | None:
        """Return the list that the trusted key has signed, with its bytes and its signature; None if there is none.

        Those put first are tried first, each with the signatures put about as early, and not every one with every one.
        """
        signatures = list(self._contents(f"{folder}/{SIGNATURE}", _SIGNATURE_BYTES))
        for place, content in enumerate(self._contents(f"{folder}/{OBJECT_LIST}", MAXIMUM_BYTES)):
            for signature in signatures[max(0, place - 1) : place + 2]:
                if verifier.is_valid(content, signature):
                    return decode_object_list(content, snapshot), content, signature
        return None

    def _contents(self, path: str, limit_bytes: int) -> Iterator[bytes]:
        """Yield the bytes of the first versions of a small file, those put first in front."""
        listing = self._listing if path.startswith(_SNAPSHOTS) and self._listing else list_repository(self.store, path)
        for version in listing.of(path)[:_MOST_OF_OWN]:
            if version.size_bytes <= limit_bytes:
                yield patiently(partial(self._content, version, limit_bytes))

    def _content(self, version: Version, limit_bytes: int) -> bytes:
        with self.store.read(version.key, version.version, most_bytes=limit_bytes) as chunks:
            return b"".join(chunks)

    # --- objects ---

    def _is_here(self, stored: StoredObject) -> bool:
        try:
            return self.layout.object(stored.name).lstat().st_size == stored.size_bytes
        except FileNotFoundError:
            return False

    def _check_room(self, needed_bytes: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < needed_bytes + _SPARE_BYTES:
            raise SpaceError(
                f"{needed_bytes:,} bytes have to come from the bucket, and {self.folder} has room for {free:,}",
                unchanged="everything",
                hint="permafrost bucket fetch puts them into another folder, for --repository",
            )

    def _fetch_object(self, stored: StoredObject) -> None:
        """Put an object into the folder: what its key names now, or else the first version that has its bytes."""
        path = object_path(stored.name)
        key = self.store.address.key(path)
        try:
            if self._try(key, "", stored):
                return
        except (MissingError, BucketRefusedError):  # hidden, which some stores answer with a refusal
            pass
        versions = list_repository(self.store, path).of(path)
        if any(one.size_bytes == stored.size_bytes and self._try(key, one.version, stored) for one in versions):
            return
        fault = f"none of its {len(versions)} versions has the bytes of its name" if versions else "it is not there"
        raise IntegrityError(
            f"the object {stored.name} cannot be had from the bucket {self.store.name}: {fault}",
            hint="restore another snapshot, or from another copy; permafrost verify --bucket lists every bad object",
        )

    def _try(self, key: str, version: str, stored: StoredObject) -> bool:
        """Put a version's bytes into the folder if they have the object's name; return whether they do.

        A download that breaks off is resumed where it broke off, as long as something comes each time.
        """
        temporary = self.layout.temporary / f"{stored.name}-{os.urandom(4).hex()}"
        digest = hashlib.sha256()
        try:
            with temporary.open("xb") as file:
                resuming(partial(self._read_on, key, version, stored.size_bytes, file, digest), file.tell)
            if digest.hexdigest() != stored.name:
                return False
            place = self.layout.object(stored.name)
            place.parent.mkdir(exist_ok=True)
            temporary.chmod(OBJECT_MODE)
            temporary.replace(place)
            return True
        finally:
            temporary.unlink(missing_ok=True)

    def _read_on(self, key: str, version: str, size_bytes: int, file: IO[bytes], digest: hashlib._Hash) -> None:
        """Add to the file what comes after what it has."""
        if file.tell() >= size_bytes > 0:
            return
        with (
            space_errors(self.folder),
            self.store.read(key, version, most_bytes=size_bytes, start=file.tell()) as chunks,
        ):
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)


def resuming(request: Callable[[], None], progress: Callable[[], int]) -> None:
    """Make the request `patiently`, again and again, as long as the `progress` grows each time."""
    while True:
        before = progress()
        try:
            return patiently(request)
        except BucketUnreachableError:
            if progress() == before:
                raise


def patiently(request: Callable[[], T]) -> T:
    """Return what the request returns; one that breaks off is made again a few times, later each time."""
    for attempt in range(_ATTEMPTS):
        try:
            return request()
        except BucketUnreachableError:
            if attempt + 1 == _ATTEMPTS:
                raise
            time.sleep(2**attempt / 4)
    raise AssertionError("unreachable")
