"""A repository in a bucket, read like a folder: its small files come first, a snapshot's objects once it is chosen.

They come into a private folder, which is gone afterwards. It grows to the size of one snapshot and no larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.fetching import Fetcher
from permafrost.buckets.store import BucketStore
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.errors import RepositoryError
from permafrost.events import Note, Progress, Reporter
from permafrost.openpgp.home import temporary_home
from permafrost.private_folders import check_place, locked_folder, remove_abandoned
from permafrost.repository.layout import SnapshotId
from permafrost.repository.objects import StoredObject
from permafrost.repository.reading import make_verifier
from permafrost.repository.repository import Repository

_PREFIX = "permafrost-bucket-"


@dataclass(frozen=True, slots=True)
class FetchedRepository:
    """A repository in a folder, whose objects are fetched when they are needed."""

    folder: Path
    fetcher: Fetcher

    def fetch(self, objects: Sequence[StoredObject], report: Reporter) -> None:
        """Put the objects into the folder; those that are there already are not fetched again."""
        self.fetcher.objects(objects, lambda done, total: report(Progress(done, total, "bytes")))


@contextmanager
def fetched_repository(
    address: BucketAddress,
    credentials_file: Path,
    fingerprint: str | None,
    wanted: WantedSnapshots,
    scratch: Path,
    report: Reporter,
) -> Iterator[FetchedRepository]:
    """Yield the repository at the address, in a private folder below `scratch`, with the wanted snapshots.

    Raise `RepositoryError` if it is not there, or has none of them.
    """
    check_place(scratch)
    remove_abandoned(scratch, _PREFIX)
    with locked_folder(scratch, _PREFIX) as folder:
        fetcher = Fetcher(BucketStore(address, credentials_file), folder / "repository", report)
        report(Note(f"reading what the bucket {address.bucket} holds"))
        repository = fetcher.repository(fingerprint)
        fetch_snapshots(fetcher, repository, fingerprint, wanted, report)
        yield FetchedRepository(fetcher.folder, fetcher)


def fetch_snapshots(
    fetcher: Fetcher, repository: Repository, fingerprint: str | None, wanted: WantedSnapshots, report: Reporter
) -> list[SnapshotId]:
    """Put the wanted snapshots' own files into the fetcher's folder, and return which they are; raise if none is."""
    now = datetime.now(UTC)
    with temporary_home() as home:
        verifier = make_verifier(repository, fingerprint, home)
        candidates = wanted.among(fetcher.listed_snapshots(), now)
        found = list(islice(fetcher.snapshots(candidates, verifier), wanted.most))
    if not found:
        which = f"snapshot {wanted.snapshot}" if wanted.snapshot else "snapshot that this server signed"
        until = f" up to {wanted.until:%Y-%m-%d %H:%M:%S %z}" if wanted.until else ""
        raise RepositoryError(
            f"the bucket {fetcher.store.name} has no {which}{until}",
            unchanged="everything",
            hint="permafrost verify --bucket NAME, on the server, shows what it holds",
        )
    report(Note(f"the newest of them is {max(found)}" if len(found) > 1 else f"it is snapshot {found[0]}"))
    return found
