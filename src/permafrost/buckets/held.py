"""What is known here of a bucket, about one repository: its record and its report, held by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.buckets.record import BucketRecord, record_file
from permafrost.buckets.report import BucketReport, read_report, report_file, write_report
from permafrost.config.buckets import Bucket
from permafrost.repository.lock import file_lock


@dataclass(frozen=True, slots=True)
class HeldBucket:
    """A bucket's record and report, which nobody else changes meanwhile."""

    record: BucketRecord
    _report_file: Path

    def report(self) -> BucketReport:
        """Return what uploads and verifications have left for `status`."""
        return read_report(self._report_file)

    def write_report(self, report: BucketReport) -> None:
        """Leave that for `status`, durably."""
        write_report(self._report_file, report)


@contextmanager
def held_bucket(state: Path, bucket: Bucket, repository_id: str, operation: str, now: datetime) -> Iterator[HeldBucket]:
    """Hold what the state folder has about the bucket for `operation` during the block.

    Raise `LockedError`, naming the holder, if an upload or a verification holds it.
    """
    file = report_file(state, bucket, repository_id)
    file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    what = f"another upload to the bucket {bucket.name}, or a verification, is under way"
    with file_lock(file.with_suffix(".lock"), operation, now, what=what):
        yield HeldBucket(BucketRecord(record_file(state, bucket, repository_id, ".sqlite")), file)
