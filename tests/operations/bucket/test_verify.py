"""verify --bucket: whatever is missing or changed there is found, without a download, and put there again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from permafrost.events import ignore_events
from permafrost.operations.bucket.upload import PASS_EVERY
from permafrost.operations.bucket.verify import BucketVerifyRequest, BucketVerifyResult, verify_bucket
from tests.fixtures.buckets import Copied, MakeCopied


@pytest.fixture
def copied(make_copied: MakeCopied) -> Copied:
    """A repository with two snapshots, all of it in a bucket without locks."""
    made = make_copied(is_locked=False, lock_days=0)
    made.snapshot()
    made.snapshot()
    made.upload()
    return made


def look(copied: Copied, *, asks_sums: bool = False, download_s: float = 0.0) -> BucketVerifyResult:
    """Verify the bucket with the key that may read."""
    credentials = copied.bucket.read_credentials_file
    assert credentials is not None
    request = BucketVerifyRequest(
        copied.bucket, copied.sender.repository.path, copied.state, credentials, asks_sums, download_s
    )
    return verify_bucket(request, report=ignore_events, clock=lambda: datetime.now(UTC))


def test_all_good_in_one_listing(copied: Copied) -> None:
    """A bucket as it was uploaded is verified with one request, and nothing is downloaded."""
    result = look(copied)
    assert (result.bad, result.files, result.snapshots, result.requests) == ((), 10, 2, 1)
    assert (result.asked, result.downloaded, result.all_read_since) == (0, 0, None)
    assert copied.report.verified_at is not None


def test_every_checksum_can_be_asked_for(copied: Copied) -> None:
    """With checksums, the store is asked for the SHA-256 of each file."""
    result = look(copied, asks_sums=True)
    assert (result.bad, result.asked, result.requests) == ((), 10, 11)


def test_a_download_in_time_reads_everything(copied: Copied) -> None:
    """With time enough everything is downloaded and compared, and since then it is known to be read."""
    before = datetime.now(UTC)
    result = look(copied, download_s=60)
    assert (result.bad, result.downloaded) == ((), 10)
    assert result.all_read_since is not None
    assert result.all_read_since >= before
    assert copied.report.all_read_since == result.all_read_since
    assert copied.report.downloaded_bytes == result.downloaded_bytes > 0
    assert copied.report.download_s > 0


@pytest.mark.parametrize("how", ["deleted", "overwritten"])
def test_what_was_done_to_an_object_is_found_and_mended(copied: Copied, how: str) -> None:
    """An object that somebody deleted or overwrote is named, without a download, and the next upload mends it."""
    path = next(path for path in copied.paths() if path.startswith("objects/"))
    size = copied.record.files([path])[path].size_bytes
    if how == "deleted":
        copied.hide(path)
    else:
        copied.overwrite(path, b"x" * size)
    result = look(copied)
    assert result.bad == (path,)
    assert (copied.report.bad, copied.report.bad_count) == ((path,), 1)
    copied.upload(lambda: datetime.now(UTC) + PASS_EVERY)
    assert (copied.report.bad, copied.report.bad_count) == ((), 0)
    assert look(copied, download_s=60).bad == ()


def test_hidden_and_overwritten_versions_are_no_finding(make_copied: MakeCopied) -> None:
    """Where versions are kept, a deletion marker or other bytes on top change nothing: the right version is there."""
    copied = make_copied()
    copied.snapshot()
    copied.upload()
    for path in copied.paths():
        copied.overwrite(path, b"other", copied.store.writer)
        copied.hide(path, copied.store.writer)
    assert look(copied).bad == ()
    assert look(copied, asks_sums=True, download_s=60).bad == ()


def test_many_objects_need_a_listing_alone(make_copied: MakeCopied, request: pytest.FixtureRequest) -> None:
    """However many objects there are, a listing of a thousand with each request verifies them, and nothing else."""
    count = int(request.config.getoption("--bucket-objects"))
    copied = make_copied()
    copied.sender.snapshot(datetime.now(UTC), new_objects=count)
    uploaded = copied.upload()
    result = look(copied)
    print(f"{count} objects: upload {uploaded.requests} requests, {uploaded.duration_s} s; ", end="")  # noqa: T201
    print(f"verify {result.requests} requests, {result.duration_s} s")  # noqa: T201
    assert uploaded.requests == count + 3 + 4 + 1
    assert (result.bad, result.files, result.downloaded, result.asked) == ((), count + 3, 0, 0)
    assert result.requests == -(-(count + 7) // 1000)
