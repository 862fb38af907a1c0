"""20,000 media objects in a real object store, with a web server before it as Mastodon's documentation has it."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.repository.repository import Repository
from samples.object_store import OPEN_BUCKET
from tests.fixtures.cdn import Cdn, Fault, Handler
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import SigningKey
from tests.fixtures.stored_media import StoredMedia, make_stored_media

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PREFIX = "twenty-thousand/"
COUNT, NEW, DELETED, CHANGED = 20_000, 50, 1000, 1000


class _FromStore(dict[str, Fault]):
    """Every path is answered by the object store behind the web server."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def get(self, key: str, default: Fault | None = None) -> Fault | None:  # type: ignore[override]  # noqa: ARG002
        """Return what hands the request on."""
        return self._answer

    def _answer(self, handler: Handler) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("GET", f"/{OPEN_BUCKET}/{PREFIX}{handler.below}")
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        handler.answer(answer.status, content, answer.getheader("Content-Type", ""))
        return True


@dataclass
class Bucket:
    """The bucket, and what is in it."""

    store: ObjectStore
    files: dict[str, bytes] = field(default_factory=dict)

    def put(self, files: dict[str, bytes]) -> dict[str, int | None]:
        """Upload the files, and return their sizes."""
        client = self.store.client()
        with ThreadPoolExecutor(4) as threads:
            for path, content in files.items():
                threads.submit(
                    client.put_object, Bucket=OPEN_BUCKET, Key=PREFIX + path, Body=content, ContentType="image/png"
                ).add_done_callback(lambda done: done.result())
        self.files |= files
        return {path: len(content) for path, content in files.items()}

    def delete(self, paths: list[str]) -> None:
        """Delete the objects, a thousand with each request."""
        names = [{"Key": PREFIX + path} for path in paths]
        self.store.client().delete_objects(Bucket=OPEN_BUCKET, Delete={"Objects": names})  # type: ignore[typeddict-item]


@pytest.fixture
def bucket(object_store: ObjectStore) -> Bucket:
    """The bucket that everyone may read."""
    client = object_store.client()
    if OPEN_BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=OPEN_BUCKET)
    return Bucket(object_store)


@pytest.fixture
def stored(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, cdn: Cdn, object_store: ObjectStore
) -> StoredMedia:
    """A vault of that server, which fetches again within 90 days, as is usual."""
    cdn.faults = _FromStore(object_store.port)
    made = make_stored_media(tmp_path / "vault", repository, signing_key, cdn)
    made.set(recheck_days=90)
    return made


def _files(numbers: range, word: str = "") -> dict[str, bytes]:
    return {
        f"media_attachments/files/{number // 10**6:03}/{number // 1000 % 1000:03}/{number % 1000:03}/original/"
        f"{number:016x}.png": b"\x89PNG" + f"{word or number:>9} ".encode() * (20 + number % 50)
        for number in numbers
    }


def _used_by(stored: StoredMedia) -> float:
    """Return how many seconds of the processor a vault takes that starts and works until nothing is left to do."""
    began_s = time.process_time()
    stored.keep(within_s=600)
    return time.process_time() - began_s


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_twenty_thousand_objects(stored: StoredMedia, bucket: Bucket) -> None:
    """The first pull is whole, an hour costs what is new, and mass deletions and lies are found within a day."""
    stored.publish_files(bucket.put(_files(range(1, COUNT + 1))))
    stored.keep(within_s=3000)
    assert stored.held() == bucket.files
    assert set(stored.cdn.counts().values()) == {1}

    stored.cdn.asked.clear()
    start_s = _used_by(stored)  # what a vault that starts does anyway
    stored.publish_files(bucket.put(_files(range(COUNT + 1, COUNT + NEW + 1))))
    hour_s = _used_by(stored)  # the web server's time, too
    assert len(stored.cdn.asked) == NEW
    assert hour_s - start_s < 3.0
    assert stored.held() == bucket.files

    stored.keep(2 * DAY, within_s=600)  # a file is not compared within a day of its coming
    bucket.delete(list(bucket.files)[:DELETED])
    stored.keep(DAY, within_s=600)
    assert "no longer has" in stored.findings()["media-vanished"]
    assert stored.held() == bucket.files
    before = dict(bucket.files)
    bucket.put(_files(range(DELETED + 1, DELETED + CHANGED + 1), "lies"))
    stored.keep(DAY, within_s=600)
    assert "media-altered" in stored.findings()
    assert stored.held() == before
