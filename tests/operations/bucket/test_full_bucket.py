"""A real object store whose disk is full: what is there stays, locks are renewed, no backup waits, and room helps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.errors import BucketUnreachableError
from permafrost.repository.objects import put_object
from permafrost.status.buckets import bucket_findings
from tests.fixtures.buckets import MakeCopied
from tests.fixtures.seaweedfs import ObjectStore

DISK_MIB = 96


@pytest.fixture
def small_store(tmp_path: Path) -> Iterator[tuple[ObjectStore, Path]]:
    """An object store on a disk of its own that holds next to nothing; skipped where we may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    try:
        with ObjectStore(place) as store:
            yield store, place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_object_store(small_store: tuple[ObjectStore, Path], make_copied: MakeCopied, tmp_path: Path) -> None:
    """What does not fit is a finding; what is there stays locked; once there is room, all of it arrives."""
    store, place = small_store
    made = make_copied(bucket=store.new_bucket(), lock_days=2)
    settings = {"endpoint": store.endpoint, "credentials_file": store.writer.write(tmp_path / "small-key")}
    copied = replace(made, store=store, bucket=made.bucket.model_copy(update=settings))
    first = copied.snapshot(datetime.now(UTC) - timedelta(hours=30))
    copied.upload()
    large = tuple(put_object(copied.sender.layout, [os.urandom(12 << 20)], lambda: None) for _ in range(8))
    second = copied.sender.snapshot(datetime.now(UTC), old=large, new_objects=1)
    later = datetime.now(UTC) + timedelta(days=4)
    with pytest.raises(BucketUnreachableError, match="answered InternalError"):
        copied.upload(lambda: later)
    assert copied.report.snapshots == (str(first),)
    ends = [file.locked_until for path, file in copied.record.files().items() if str(first) in path]
    assert all(end is not None and end > later + timedelta(days=2) for end in ends), "what is there stays locked"
    later += timedelta(hours=1)
    findings = bucket_findings([(copied.bucket, copied.report)], (first, second), frozenset(), later)
    assert "bucket-unreachable" in [finding.code for finding in findings]
    subprocess.run(["mount", "-o", "remount,size=600m", str(place)], check=True)
    copied.upload(lambda: later)
    known = copied.report
    assert len(known.snapshots) == 2
    assert list(bucket_findings([(copied.bucket, known)], (first, second), frozenset(), later)) == []
