"""Slow lines, lines that stall, and lines that are not ours alone: a real TCP proxy before a real object store."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from permafrost.buckets import client
from permafrost.buckets.client import Pace
from permafrost.buckets.store import BucketStore
from permafrost.errors import BucketUnreachableError
from permafrost.events import Event, Progress
from permafrost.operations.bucket.upload import upload
from permafrost.repository.layout import SnapshotId
from permafrost.repository.objects import put_object
from permafrost.status.buckets import bucket_findings
from tests.fixtures.buckets import Copied, MakeCopied
from tests.fixtures.proxy import CuttableProxy

KIB = 1024


def behind(copied: Copied, proxy: CuttableProxy, **settings: object) -> Copied:
    """Return it with uploads that go through the proxy, and with other settings."""
    endpoint = f"http://127.0.0.1:{proxy.port}"
    return Copied(
        copied.store,
        copied.sender,
        copied.bucket.model_copy(update={"endpoint": endpoint, **settings}),
        copied.folder,
    )


def with_bytes(copied: Copied, size_bytes: int) -> SnapshotId:
    """Make a snapshot that needs an object of that size."""
    large = put_object(copied.sender.layout, [os.urandom(size_bytes)], lambda: None)
    return copied.sender.snapshot(datetime.now(UTC), old=(large,), new_objects=1)


def test_a_slow_line_is_no_failure(make_copied: MakeCopied, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes longer than every time-out arrives at the first attempt, as long as bytes move."""
    monkeypatch.setattr(client, "READ_S", 5)
    monkeypatch.setattr(client, "CONNECT_S", 2)
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    copied = make_copied()
    snapshot = with_bytes(copied, 1600 * KIB)
    with CuttableProxy(copied.store.port, bytes_per_s=200 * KIB) as proxy:
        began = time.monotonic()
        heard: list[Event] = []
        upload(behind(copied, proxy).request(), report=heard.append, clock=lambda: datetime.now(UTC))
        assert time.monotonic() - began > 7
        assert proxy.sent_bytes < 1700 * KIB, "nothing was sent twice"
    assert copied.report.snapshots == (str(snapshot),)
    moved = [event.done for event in heard if isinstance(event, Progress)]
    assert len(moved) > 3, "a service sees that the one large file moves, and does not end the job as hung"
    assert moved == sorted(moved)


def test_a_slow_line_is_late_and_not_failing(make_copied: MakeCopied, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrived over a slow line until it broke counts; the newest, which did not, is late after its hours."""
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    copied = make_copied()
    arrived = copied.snapshot(datetime.now(UTC) - timedelta(hours=2))
    with CuttableProxy(copied.store.port, bytes_per_s=400 * KIB) as proxy:
        behind(copied, proxy).upload()
    late = with_bytes(copied, 1600 * KIB)
    with CuttableProxy(copied.store.port, bytes_per_s=100 * KIB, stalls_after_bytes=300 * KIB) as proxy:
        cut = proxy.cut_when_stalled()
        with pytest.raises(BucketUnreachableError):
            behind(copied, proxy).upload()
        cut.join(30)
    assert copied.report.snapshots == (str(arrived),)
    for hours, found in ((0, []), (25, ["bucket-unreachable", "bucket-late"])):
        now = datetime.now(UTC) + timedelta(hours=hours)
        findings = bucket_findings([(copied.bucket, copied.report)], (arrived, late), frozenset(), now)
        assert [finding.code for finding in findings] == found
    assert copied.upload().snapshots == (late,)


def test_a_line_that_stalls_in_the_middle_of_a_put_is_given_up(
    make_copied: MakeCopied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that takes half of a file and then nothing is given up; the next upload finishes it."""
    monkeypatch.setattr(client, "READ_S", 2)
    monkeypatch.setattr(client, "CONNECT_S", 1)
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    copied = make_copied()
    with_bytes(copied, 8 << 20)
    with CuttableProxy(copied.store.port, stalls_after_bytes=4 << 20) as proxy:
        with pytest.raises(BucketUnreachableError):
            behind(copied, proxy).upload()
        assert proxy.has_stalled.is_set()
    assert copied.report.problem_kind == "unreachable"
    copied.upload()
    assert len(copied.report.snapshots) == 1


def test_the_pace_is_kept(make_copied: MakeCopied) -> None:
    """With upload_kib_per_s, the line never carries more, however many files go at once."""
    copied = make_copied()
    for _ in range(3):
        with_bytes(copied, 300 * KIB)
    with CuttableProxy(copied.store.port) as proxy:
        began = time.monotonic()
        behind(copied, proxy, upload_kib_per_s=300).upload()
        took_s = time.monotonic() - began
        sent_bytes = proxy.sent_bytes
    headers = 2 * KIB * len(copied.record.files())
    assert sent_bytes > 900 * KIB
    assert (sent_bytes - headers) / took_s <= 300 * KIB


def test_a_pace_is_that_of_all_threads_together() -> None:
    """Bytes that are asked for at one moment follow each other, and a line that was idle has nothing to make up for."""
    now, slept = [100.0], list[float]()
    pace = Pace(1000, lambda: now[0], slept.append)
    for _ in range(3):
        pace.wait_for(500)
    assert slept == [0.5, 1.0]
    now[0] = 200.0
    pace.wait_for(500)
    pace.wait_for(500)
    assert slept == [0.5, 1.0, 0.5]


def test_signing_reads_at_any_speed(make_copied: MakeCopied) -> None:
    """A file is read once to be signed and once to be sent, and only the latter goes at the pace."""
    copied = make_copied()
    content = os.urandom(400 * KIB)
    with CuttableProxy(copied.store.port) as proxy:
        address = behind(copied, proxy).address
        store = BucketStore(address, copied.bucket.credentials_file, Pace(200 * KIB))
        began = time.monotonic()
        store.put(address.key("x"), content, hashlib.sha256(content).hexdigest())
        assert 1.8 < time.monotonic() - began < 3.5
