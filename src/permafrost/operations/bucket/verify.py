"""permafrost verify --bucket: is everything in the bucket that should be, with the right bytes?

1. One listing of all versions. A file is there if it has the version that was put, with the store's tag of that time:
   the store compared its SHA-256 then.
2. What has another version, and with `asks_sums` everything, is asked for its SHA-256. Nothing is downloaded. A store
   has none of a file that went in parts: its version and tag have to do, or a download.
3. Within the time given, files are downloaded and compared, those first that were not for longest.

What is missing or damaged is forgotten, so that the next upload puts it there again, as long as it is here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from permafrost.buckets.address import address_of
from permafrost.buckets.client import PARALLEL
from permafrost.buckets.failures import MissingError
from permafrost.buckets.fetching import patiently
from permafrost.buckets.files import MOST_VERSIONS, object_files, snapshot_files
from permafrost.buckets.held import HeldBucket, held_bucket
from permafrost.buckets.listing import Listing, list_repository
from permafrost.buckets.record import Uploaded
from permafrost.buckets.store import BucketStore, Stored
from permafrost.config.buckets import Bucket
from permafrost.documents.bucket import BucketVerifyDocument
from permafrost.errors import RepositoryError
from permafrost.events import Progress, Reporter, Steps
from permafrost.repository.layout import Layout, SnapshotId
from permafrost.repository.repository import Repository

_MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class BucketVerifyRequest:
    """Which bucket is verified, with a key that may read and list; `download_s` is how long it may download."""

    bucket: Bucket
    repository: Path
    state: Path
    credentials_file: Path
    asks_sums: bool = False
    download_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BucketVerifyResult:
    """What was verified in a bucket, and how."""

    bucket: str
    address: str
    snapshots: int
    files: int
    size_bytes: int
    asked: int
    downloaded: int
    downloaded_bytes: int
    bad: tuple[str, ...]
    all_read_since: datetime | None
    requests: int
    duration_s: float

    def document(self) -> BucketVerifyDocument:
        """Return it for JSON."""
        return BucketVerifyDocument(
            bucket=self.bucket,
            address=self.address,
            snapshots=self.snapshots,
            files=self.files,
            bytes=self.size_bytes,
            asked=self.asked,
            downloaded=self.downloaded,
            downloaded_bytes=self.downloaded_bytes,
            bad=self.bad,
            all_read_since=self.all_read_since,
            requests=self.requests,
            duration_s=self.duration_s,
        )


def verify_bucket(
    request: BucketVerifyRequest, *, report: Reporter, clock: Callable[[], datetime]
) -> BucketVerifyResult:
    """Verify what was uploaded to the bucket, and record it for `status`.

    Raise `BucketError` if the store does not answer, `LockedError` if an upload is under way.
    """
    repository = Repository.open(request.repository)
    with held_bucket(request.state, request.bucket, repository.repository_id, "verify --bucket", clock()) as held:
        store = BucketStore(address_of(request.bucket, repository.repository_id), request.credentials_file)
        return _Verification(request, repository.layout, store, held, clock).run(report)


class _Verification:
    """One verification, in steps."""

    def __init__(
        self,
        request: BucketVerifyRequest,
        layout: Layout,
        store: BucketStore,
        held: HeldBucket,
        clock: Callable[[], datetime],
    ) -> None:
        self._request = request
        self._layout = layout
        self._store = store
        self._held = held
        self._record = held.record
        self._clock = clock
        self._asked = 0

    def run(self, report: Reporter) -> BucketVerifyResult:
        """Do all steps; see the module."""
        started = time.monotonic()
        steps = Steps(report, 3)
        with steps.step("list what the bucket holds"):
            listing = list_repository(self._store)
        paths = {snapshot: self._paths(snapshot) for snapshot in map(SnapshotId, self._record.whole())}
        known = self._needed(paths.values())
        with steps.step("compare versions, and ask for checksums"):
            found = self._find(list(known.values()), listing, report)
        good = {one.path: one for one in found if one is not None}
        bad = known.keys() - good.keys()
        with steps.step("download and compare"):
            began = time.monotonic()
            read, read_bytes, rotten = self._download(good, report)
            download_s = time.monotonic() - began
        bad |= rotten
        kept = [one for one in good.values() if one.path not in rotten]
        self._record.put(kept)
        self._forget(bad, paths)
        moments = [one.read_at for one in kept]
        dated = [moment for moment in moments if moment is not None]
        all_read_since = min(dated, default=None) if len(dated) == len(moments) else None
        changed: dict[str, object] = {
            "verified_at": self._clock(),
            "bad": tuple(sorted(bad))[:_MOST_NAMED],
            "bad_count": len(bad),
            "all_read_since": all_read_since,
            "snapshots": tuple(sorted(self._record.whole())),
        }
        if read_bytes:
            changed |= {"downloaded_at": self._clock(), "downloaded_bytes": read_bytes, "download_s": download_s}
        self._held.write_report(self._held.report().model_copy(update=changed))
        return BucketVerifyResult(
            bucket=self._request.bucket.name,
            address=str(self._store.address),
            snapshots=len(paths),
            files=len(known),
            size_bytes=sum(one.size_bytes for one in known.values()),
            asked=self._asked,
            downloaded=read,
            downloaded_bytes=read_bytes,
            bad=tuple(sorted(bad)),
            all_read_since=all_read_since,
            requests=self._store.requests.total(),
            duration_s=round(time.monotonic() - started, 3),
        )

    def _needed(self, paths: Iterable[Iterable[str]]) -> dict[str, Uploaded]:
        """Return those of the paths that were uploaded."""
        files = self._record.files()
        return {path: files[path] for of_one in paths for path in of_one if path in files}

    def _paths(self, snapshot: SnapshotId) -> list[str]:
        """Return what the snapshot needs; of one that a prune has removed here, nothing."""
        try:
            return [
                one.path for one in (*object_files(self._layout, snapshot), *snapshot_files(self._layout, snapshot))
            ]
        except RepositoryError:
            return []

    def _find(self, files: list[Uploaded], listing: Listing, report: Reporter) -> list[Uploaded | None]:
        def find(file: Uploaded) -> Uploaded | None:
            return self._find_one(file, listing)

        found: list[Uploaded | None] = []
        with ThreadPoolExecutor(PARALLEL) as pool:
            for one in pool.map(find, files):
                found.append(one)
                report(Progress(len(found), len(files), "files"))
        return found

    def _find_one(self, file: Uploaded, listing: Listing) -> Uploaded | None:
        """Return the file with the version that holds its bytes, None if none does."""
        versions = [one for one in listing.of(file.path)[:MOST_VERSIONS] if one.size_bytes == file.size_bytes]
        same = [one for one in versions if (one.version, one.tag) == (file.version, file.tag)]
        if same and not self._request.asks_sums:
            return file
        for version in (*same, *(one for one in versions if one not in same)):
            self._asked += 1
            try:
                seen = patiently(partial(self._store.look, version.key, version.version))
            except MissingError:
                continue
            if seen.sha256 == file.sha256:
                return replace(file, version=version.version, tag=version.tag, locked_until=seen.locked_until)
            if seen.sha256 is None and seen.stored == Stored(file.version, file.tag):  # of one that went in parts
                return replace(file, locked_until=seen.locked_until)
        return None

    def _download(self, files: dict[str, Uploaded], report: Reporter) -> tuple[int, int, set[str]]:
        """Download and compare until the time is over, and note when; return how many, their bytes, and what is bad."""
        deadline = time.monotonic() + self._request.download_s
        rotten: set[str] = set()
        read = read_bytes = 0

        def compare(file: Uploaded) -> bool | None:
            if time.monotonic() >= deadline:
                return None
            return patiently(partial(self._is_as_named, file))

        oldest_first = sorted(files.values(), key=lambda one: one.read_at.timestamp() if one.read_at else 0.0)
        with ThreadPoolExecutor(PARALLEL) as pool:
            for file, is_as_named in zip(oldest_first, pool.map(compare, oldest_first), strict=True):
                if is_as_named is None:
                    continue
                read, read_bytes = read + 1, read_bytes + file.size_bytes
                report(Progress(read, len(files), "files"))
                if is_as_named:
                    files[file.path] = replace(file, read_at=self._clock())
                else:
                    rotten.add(file.path)
        return read, read_bytes, rotten

    def _is_as_named(self, file: Uploaded) -> bool:
        digest = hashlib.sha256()
        try:
            key = self._store.address.key(file.path)
            with self._store.read(key, file.version, most_bytes=file.size_bytes) as chunks:
                for chunk in chunks:
                    digest.update(chunk)
        except MissingError:
            return False
        return digest.hexdigest() == file.sha256

    def _forget(self, bad: Collection[str], paths: Mapping[SnapshotId, Iterable[str]]) -> None:
        """Let the next upload put there again what is bad, with the snapshots that need it."""
        if bad:
            self._record.forget(bad)
            self._record.forget_whole(str(snapshot) for snapshot, its in paths.items() if not set(bad).isdisjoint(its))
