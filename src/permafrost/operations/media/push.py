"""permafrost media push: media that a restore or a vault has laid out go back into Mastodon's bucket."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.media_pushing import MediaPusher, Pushed
from permafrost.buckets.store import BucketStore
from permafrost.documents.bucket import MediaPushDocument
from permafrost.errors import UsageError
from permafrost.events import Progress, Reporter, Warned


@dataclass(frozen=True, slots=True)
class MediaPushRequest:
    """What goes where, with a key that may put and list; `acl` is what everyone may do with a file, empty for none."""

    folder: Path
    address: BucketAddress
    credentials_file: Path
    acl: str


@dataclass(frozen=True, slots=True)
class MediaPushResult:
    """What is in the bucket now."""

    request: MediaPushRequest
    pushed: Pushed
    requests: int
    duration_s: float

    def document(self) -> MediaPushDocument:
        """Return it for JSON."""
        return MediaPushDocument(
            bucket=self.request.address.bucket,
            files=self.pushed.files,
            bytes=self.pushed.size_bytes,
            present=self.pushed.present,
            closed=self.pushed.closed,
            has_acl=self.pushed.has_acl,
            requests=self.requests,
            duration_s=self.duration_s,
        )


def push_media(request: MediaPushRequest, report: Reporter) -> MediaPushResult:
    """Put every file below the folder into the bucket, and return what that took; run again, it resumes.

    Files that others may not read on the disk become private. Raise `UsageError` if there is no such folder,
    `BucketError` if the store fails; what was sent stays there.
    """
    if not request.folder.is_dir():
        raise UsageError(f"there is no folder {request.folder}", unchanged="the bucket")
    started = time.monotonic()
    store = BucketStore(request.address, request.credentials_file)
    pusher = MediaPusher(store, request.acl)
    for pushed in pusher.push(request.folder):
        report(Progress(pushed.files + pushed.present, 0, "files"))
    pushed = pusher.pushed
    if pushed.closed and not pushed.has_acl:
        report(
            Warned(
                f"{pushed.closed} files belong to suspended accounts, and this bucket takes no access for single "
                "files: they can be read as the bucket's policy says"
            )
        )
    return MediaPushResult(request, pushed, sum(store.requests.values()), time.monotonic() - started)
