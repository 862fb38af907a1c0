"""Uploads to buckets, beside the schedule: each bucket has a job of its own.

So a slow or broken bucket delays neither a backup nor another bucket. An upload is due when a snapshot has appeared or
gone, and once an hour for its locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from permafrost.events import Reporter
from permafrost.service.background_job import BackgroundJob
from permafrost.service.job import Job


@dataclass(slots=True)
class BucketUploads:
    """The uploads to all buckets."""

    uploads: tuple[BackgroundJob, ...] = field(default=())

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        begin: Callable[[tuple[str, ...], datetime], Job],
        folders: tuple[Path, ...],
        hung_after_s: float,
        report: Reporter,
        more_words: tuple[str, ...] = (),
    ) -> BucketUploads:
        """Return the uploads to the buckets of these names; `more_words` are added to each command."""
        words = (("bucket", "upload", name, *more_words) for name in names)
        return cls(tuple(BackgroundJob(one, begin, folders, hung_after_s, report) for one in words))

    def turn(self, now: datetime) -> None:
        """Attend to each; call it every few seconds."""
        for upload in self.uploads:
            upload.turn(now)

    def ask_to_end(self) -> None:
        """Tell all to end, and return at once."""
        for upload in self.uploads:
            upload.ask_to_end()

    def end(self) -> None:
        """End all."""
        for upload in self.uploads:
            upload.end()


@contextmanager
def closing_uploads(uploads: BucketUploads) -> Iterator[BucketUploads]:
    """Yield the uploads, and end them after the block."""
    try:
        yield uploads
    finally:
        uploads.ask_to_end()
        uploads.end()
