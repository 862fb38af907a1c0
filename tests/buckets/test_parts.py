"""Files too large for one PUT go in parts; here they are small, and the limit smaller."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest

from permafrost.buckets import parts
from permafrost.buckets.record import PartsUpload
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.errors import BucketUnreachableError, IntegrityError
from permafrost.events import ignore_events
from permafrost.loading.bucket_source import fetched_repository
from permafrost.operations.bucket.verify import BucketVerifyRequest, verify_bucket
from permafrost.repository.layout import Layout, object_path
from permafrost.repository.objects import StoredObject, put_object
from permafrost.repository.snapshots import remove_snapshots
from tests.fixtures.buckets import Copied, MakeCopied
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.proxy import CuttableProxy

PART = 5 << 20
"""The smallest that a part may be, but for the last one."""


@pytest.fixture(autouse=True)
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PUT takes 1 MiB here, and a part 5 MiB."""
    monkeypatch.setattr(parts, "MOST_PUT_BYTES", 1 << 20)
    monkeypatch.setattr(parts, "PART_BYTES", PART)


def with_large(copied: Copied, size_bytes: int = 2 * PART + 1000) -> StoredObject:
    """Make a snapshot that needs a large object, and return that."""
    large = put_object(copied.sender.layout, [os.urandom(size_bytes)], lambda: None)
    copied.sender.snapshot(datetime.now(UTC), old=(large,), new_objects=1)
    return large


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_large_file_arrives_and_comes_back(make_copied: MakeCopied, is_locked: bool) -> None:
    """A file in three parts is one object there, locked if the bucket locks; verified, and fetched, by its SHA-256."""
    copied = make_copied(is_locked=is_locked)
    large = with_large(copied)
    result = copied.upload()
    assert result.has_lock == is_locked
    path = object_path(large.name)
    reader = copied.store.client(copied.store.reader)
    there = reader.get_object(Bucket=copied.bucket.bucket, Key=copied.address.key(path))
    assert hashlib.sha256(there["Body"].read()).hexdigest() == large.name
    assert (there.get("ObjectLockMode") == "COMPLIANCE") == is_locked
    (uploaded,) = copied.record.files([path]).values()
    until = there.get("ObjectLockRetainUntilDate")
    assert (uploaded.locked_until and uploaded.locked_until.replace(microsecond=0)) == until
    assert copied.record.begun_parts() == []
    credentials = copied.bucket.read_credentials_file
    assert credentials is not None
    for download_s in (0.0, 60.0):
        request = BucketVerifyRequest(
            copied.bucket, copied.sender.repository.path, copied.state, credentials, True, download_s
        )
        assert verify_bucket(request, report=ignore_events, clock=lambda: datetime.now(UTC)).bad == ()
    trusted = copied.sender.key.fingerprint
    with fetched_repository(
        copied.address, credentials, trusted, WantedSnapshots(), copied.folder, ignore_events
    ) as found:
        found.fetch([large], ignore_events)
        assert hashlib.sha256(Layout(found.folder).object(large.name).read_bytes()).hexdigest() == large.name


def test_an_upload_that_broke_off_goes_on_with_its_parts(
    make_copied: MakeCopied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that arrived before an outage are not sent again."""
    monkeypatch.setattr("permafrost.buckets.client.ATTEMPTS", 1)
    copied = make_copied()
    large = with_large(copied)
    with CuttableProxy(copied.store.port, stalls_after_bytes=PART + (PART >> 1)) as proxy:
        behind = copied.bucket.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy.port}"})
        away = Copied(copied.store, copied.sender, behind, copied.folder)
        cut = proxy.cut_when_stalled()
        with pytest.raises(BucketUnreachableError):
            away.upload()
        cut.join(10)
    under_way = copied.record.parts(object_path(large.name))
    assert under_way is not None
    assert list(under_way.parts) == [1]
    with CuttableProxy(copied.store.port) as proxy:
        again = copied.bucket.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy.port}"})
        Copied(copied.store, copied.sender, again, copied.folder).upload()
        assert PART < proxy.sent_bytes < 2 * PART, "the first part was not sent again"
    assert copied.paths()[object_path(large.name)] == 1
    assert len(copied.report.snapshots) == 1


def test_parts_that_the_store_has_forgotten_are_sent_again(make_copied: MakeCopied) -> None:
    """If the provider removed an upload that was under way, another one is begun."""
    copied = make_copied()
    large = with_large(copied)
    path = object_path(large.name)
    copied.record.begin_parts(path, PartsUpload("0" * 32, PART, None, {1: ("tag", "0" * 64)}))
    copied.upload()
    assert copied.paths()[path] == 1
    (uploaded,) = copied.record.files([path]).values()
    assert uploaded.locked_until is not None


def test_a_large_file_that_has_rotted_does_not_appear(make_copied: MakeCopied) -> None:
    """All parts of a rotten file may arrive, and no object is made of them; nothing is left under way."""
    copied = make_copied()
    large = with_large(copied)
    flip_a_bit(copied.sender.layout.object(large.name), PART + 3)
    with pytest.raises(IntegrityError, match="not what its name says"):
        copied.upload()
    assert object_path(large.name) not in copied.paths()
    assert copied.record.begun_parts() == []
    assert not copied.store.client().list_multipart_uploads(Bucket=copied.bucket.bucket).get("Uploads")


def test_what_a_prune_has_made_pointless_is_abandoned(make_copied: MakeCopied) -> None:
    """The parts of an object that no snapshot needs any more are removed from the store."""
    copied = make_copied()
    copied.snapshot()
    doomed = copied.sender.snapshot(datetime.now(UTC), new_objects=1)
    copied.upload()
    path, bucket = object_path("ab" * 32), copied.bucket.bucket
    begun = copied.store.client(copied.store.writer).create_multipart_upload(
        Bucket=bucket, Key=copied.address.key(path), ChecksumAlgorithm="SHA256"
    )
    copied.record.begin_parts(path, PartsUpload(begun["UploadId"], PART, None, {}))
    remove_snapshots(copied.sender.layout, [doomed])
    copied.upload(lambda: datetime.now(UTC) + timedelta(hours=7), [doomed])
    assert copied.record.begun_parts() == []
    assert not copied.store.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_a_lost_record_puts_a_large_file_over_what_is_there(make_copied: MakeCopied) -> None:
    """Without its record a large file is put there once more, and counts then."""
    copied = make_copied()
    large = with_large(copied)
    copied.upload()
    for file in (copied.state / "buckets").iterdir():
        file.unlink()
    copied.upload()
    assert copied.paths()[object_path(large.name)] == 2
    assert len(copied.report.snapshots) == 1
