"""permafrost bucket check: tries on the real bucket what is promised of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from permafrost.buckets.address import address_of
from permafrost.buckets.probing import Probe, probe_bucket
from permafrost.buckets.store import BucketStore
from permafrost.config.buckets import Bucket
from permafrost.documents.bucket import BucketCheckDocument, BucketProbeDocument
from permafrost.operations.bucket.upload import MOST_SKEW_S


@dataclass(frozen=True, slots=True)
class BucketCheckResult:
    """What was tried on a bucket, and what holds."""

    bucket: str
    address: str | None
    probes: tuple[Probe, ...]

    @property
    def is_good(self) -> bool:
        """Whether everything holds that is needed."""
        return all(probe.holds for probe in self.probes if probe.is_needed)

    def document(self) -> BucketCheckDocument:
        """Return it for JSON."""
        probes = tuple(BucketProbeDocument(one.promise, one.holds, one.is_needed, one.text) for one in self.probes)
        return BucketCheckDocument(self.bucket, self.address, self.is_good, probes)


_NO_REPOSITORY = "0" * 32
"""What is tried happens beside a repository's folder, so that none need exist."""


def check_bucket(bucket: Bucket, repository_id: str | None, clock: Callable[[], datetime]) -> BucketCheckResult:
    """Return what holds in the bucket. Small objects are put there, of which the locked ones stay for minutes.

    What holds is the same for each repository; the one named here is in the result's address.

    Raise `BucketError` if it cannot be reached, or nothing can be put there.
    """
    address = address_of(bucket, repository_id or _NO_REPOSITORY)
    writer = BucketStore(address, bucket.credentials_file)
    reader = BucketStore(address, bucket.read_credentials_file) if bucket.read_credentials_file else None
    wants_lock = bucket.lock_days > 0
    probes = tuple(probe_bucket(writer, reader, clock(), wants_lock=wants_lock, most_skew_s=MOST_SKEW_S))
    return BucketCheckResult(bucket.name, str(address) if repository_id else None, probes)
