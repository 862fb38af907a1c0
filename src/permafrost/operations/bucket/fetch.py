"""permafrost bucket fetch: a repository's snapshots come back from a bucket into a folder, and stay there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.fetching import Fetcher
from permafrost.buckets.store import BucketStore
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.documents.bucket import BucketFetchDocument
from permafrost.errors import RepositoryError
from permafrost.events import Progress, Reporter, Steps
from permafrost.loading.bucket_source import fetch_snapshots
from permafrost.repository.durable import make_folder_durably
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import file_lock
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import read_object_list


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What is fetched from where, with a key that may read and list, into which folder."""

    address: BucketAddress
    credentials_file: Path
    fingerprint: str | None
    wanted: WantedSnapshots
    folder: Path


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What was fetched."""

    address: str
    folder: Path
    snapshots: tuple[SnapshotId, ...]
    size_bytes: int

    def document(self) -> BucketFetchDocument:
        """Return it for JSON."""
        return BucketFetchDocument(self.address, str(self.folder), tuple(map(str, self.snapshots)), self.size_bytes)


def fetch(request: FetchRequest, *, report: Reporter, clock: Callable[[], datetime]) -> FetchResult:
    """Put the wanted snapshots into the folder, which is then a repository; run again, it resumes.

    Raise `RepositoryError` if the folder holds something else, or the bucket none of the snapshots, `BucketError` if
    the store does not answer.
    """
    folder, address = request.folder, request.address
    if folder.exists() and any(folder.iterdir()) and _id_of(folder) != address.repository_id:
        raise RepositoryError(
            f"{folder} is not empty, and holds no repository {address.repository_id}",
            unchanged="everything",
            hint="give an empty folder, or the one of a fetch that broke off",
        )
    make_folder_durably(folder, 0o700)
    fetcher = Fetcher(BucketStore(address, request.credentials_file), folder, report)
    steps = Steps(report, 2)
    with file_lock(fetcher.layout.lock, "bucket fetch", clock(), what="another fetch into the folder is under way"):
        with steps.step("find the snapshots"):
            repository = fetcher.repository(request.fingerprint)
            snapshots = fetch_snapshots(fetcher, repository, request.fingerprint, request.wanted, report)
        with steps.step("fetch their objects"):
            objects = {stored for one in snapshots for stored in read_object_list(repository.layout, one)[0].objects}
            fetched = 0

            def on_bytes(done: int, total: int) -> None:
                nonlocal fetched
                fetched = done
                report(Progress(done, total, "bytes"))

            fetcher.objects(sorted(objects, key=lambda one: one.name), on_bytes)
    return FetchResult(str(address), folder, tuple(snapshots), fetched)


def _id_of(folder: Path) -> str | None:
    """Return the id of the repository in the folder; None if there is none. A lock alone is of a fetch that began."""
    try:
        return Repository.open(folder).repository_id
    except RepositoryError:
        return None
