"""permafrost bucket check: tries on the real bucket what is promised of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.buckets.address import address_of
from permafrost.buckets.probing import Probe, probe_bucket
from permafrost.buckets.store import BucketStore
from permafrost.config.buckets import Bucket
from permafrost.documents.bucket import BucketCheckDocument, BucketProbeDocument
from permafrost.operations.bucket.upload import MOST_SKEW_S
from permafrost.repository.repository import Repository


@dataclass(frozen=True, slots=True)
class BucketCheckResult:
    """What was tried on a bucket, and what holds."""

    bucket: str
    address: str
    probes: tuple[Probe, ...]

    @property
    def is_good(self) -> bool:
        """Whether everything holds that is needed."""
        return all(probe.holds for probe in self.probes if probe.is_needed)

    def document(self) -> BucketCheckDocument:
        """Return it for JSON."""
        probes = tuple(BucketProbeDocument(one.promise, one.holds, one.is_needed, one.text) for one in self.probes)
        return BucketCheckDocument(self.bucket, self.address, self.is_good, probes)


def check_bucket(bucket: Bucket, repository: Path, clock: Callable[[], datetime]) -> BucketCheckResult:
    """Return what holds in the bucket. Small objects are put there, of which the locked ones stay for minutes.

    Raise `BucketError` if it cannot be reached, or nothing can be put there.
    """
    address = address_of(bucket, Repository.open(repository).repository_id)
    writer = BucketStore(address, bucket.credentials_file)
    reader = BucketStore(address, bucket.read_credentials_file) if bucket.read_credentials_file else None
    wants_lock = bucket.lock_days > 0
    probes = tuple(probe_bucket(writer, reader, clock(), wants_lock=wants_lock, most_skew_s=MOST_SKEW_S))
    return BucketCheckResult(bucket.name, str(address), probes)
