"""An object store, or somebody who may write to a bucket, answers whatever it likes: reading ends, and stays small."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from permafrost.buckets import fetching, store
from permafrost.buckets.address import BucketAddress
from permafrost.buckets.fetching import Fetcher
from permafrost.buckets.files import MOST_VERSIONS
from permafrost.buckets.listing import list_repository
from permafrost.buckets.store import BucketStore
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.errors import BucketError, BucketUnreachableError
from permafrost.events import Event, Warned, ignore_events
from permafrost.loading.bucket_source import fetched_repository
from permafrost.repository.layout import SnapshotId, object_path
from permafrost.repository.objects import StoredObject
from tests.fixtures.buckets import MakeCopied
from tests.fixtures.seaweedfs import Keys

KEYS = Keys("AKIAVERYSECRET4711", "verysecret4711verysecret")
ROOT = "ab" * 16
Answer = Callable[[BaseHTTPRequestHandler], None]


class Hostile:
    """A program that speaks HTTP as the test likes; `asked` has the headers of each request."""

    def __init__(self, folder: Path) -> None:
        self.answer: Answer = lambda request: said(request, 404, b"")
        self.asked: list[dict[str, str]] = []
        self.folder = folder
        self.port = 0

    @contextmanager
    def running(self) -> Iterator[Hostile]:
        """Run it during the block."""
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hostile.asked.append({**self.headers, "path": self.path})
                hostile.answer(self)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield self
            server.shutdown()

    def store(self) -> BucketStore:
        """Return a bucket of it."""
        key = KEYS.write(self.folder / "key")
        return BucketStore(BucketAddress("some-bucket", ROOT, f"http://127.0.0.1:{self.port}"), key)


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Hostile]:
    """A hostile object store."""
    with Hostile(tmp_path).running() as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks off is tried again once."""
    monkeypatch.setattr("permafrost.buckets.client.ATTEMPTS", 1)
    monkeypatch.setattr(fetching, "_ATTEMPTS", 2)


def said(request: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer with a status, a body and headers."""
    request.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def page(versions: str, after: str = "", version: str = "") -> bytes:
    """Return a page of a listing; with `after` there is more."""
    more = (
        f"<IsTruncated>true</IsTruncated><NextKeyMarker>{after}</NextKeyMarker>"
        f"<NextVersionIdMarker>{version}</NextVersionIdMarker>"
    )
    return f"<ListVersionsResult>{more if after else ''}{versions}</ListVersionsResult>".encode()


def listed(key: str, version: str, size_bytes: int = 1) -> str:
    """Return a version as a listing has it."""
    return (
        f"<Version><Key>{key}</Key><VersionId>{version}</VersionId><IsLatest>false</IsLatest>"
        f"<LastModified>2026-11-26T20:00:00.000Z</LastModified><ETag>t</ETag><Size>{size_bytes}</Size></Version>"
    )


def test_a_listing_that_repeats_itself(hostile: Hostile) -> None:
    """A listing that comes back to the same place is an error, and not read for ever."""
    hostile.answer = lambda request: said(request, 200, page(listed("k", "v"), "k", "v"))
    with pytest.raises(BucketUnreachableError, match="listing does not end"):
        list(hostile.store().versions(ROOT))
    assert len(hostile.asked) == 2


def test_a_listing_without_end(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that always has one more page is given up."""
    monkeypatch.setattr(store, "_MOST_PAGES", 30)
    hostile.answer = lambda request: said(request, 200, page("", f"k{len(hostile.asked)}", "v"))
    with pytest.raises(BucketUnreachableError, match="listing does not end"):
        list(hostile.store().versions(ROOT))
    assert len(hostile.asked) == 30


def test_versions_by_the_thousand(hostile: Hostile) -> None:
    """However many versions somebody has put over an object, those put first are found, and few are remembered."""
    path = object_path("cd" * 32)

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(request.path).query)
        number = int(asked.get("version-id-marker", ["0"])[0])
        key = f"{ROOT}/{path}"
        versions = "".join(listed(key, str(number + one)) for one in range(1, 1001))
        said(request, 200, page(versions, key if number < 4000 else "", str(number + 1000)))

    hostile.answer = answer
    found = list_repository(hostile.store(), path).of(path)
    assert len(hostile.asked) == 5
    assert (len(found), found[0].version) == (MOST_VERSIONS, "5000")


@pytest.mark.parametrize(
    "body",
    [
        b"<ListVersionsResult><Version><Key>k</Key></Version></ListVersionsResult>",
        b"<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
        page(listed("k", "v").replace("2026-11-26", "no day").encode().decode()),
        page(listed("k", "v", -1).replace("-1", "many")),
        b"<ListVersionsResult>",
        b"\x00\xff",
    ],
)
def test_an_answer_that_makes_no_sense(hostile: Hostile, body: bytes) -> None:
    """An answer that lacks what every answer has is the store's failure, and no defect of ours."""
    hostile.answer = lambda request: said(request, 200, body)
    with pytest.raises(BucketUnreachableError):
        list(hostile.store().versions(ROOT))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_sent_elsewhere(hostile: Hostile, tmp_path: Path, status: int) -> None:
    """A redirect to another host is an error: nothing goes there, and no credentials above all."""
    with Hostile(tmp_path).running() as thief:
        there = f"http://127.0.0.1:{thief.port}/"
        hostile.answer = lambda request: said(
            request, status, b"", Location=there, x_amz_bucket_region=f"127.0.0.1:{thief.port}/"
        )
        bucket = hostile.store()
        for request in (lambda: list(bucket.versions(ROOT)), lambda: bucket.look("k"), lambda: read(bucket, "k", 10)):
            with pytest.raises(BucketError) as failure:
                request()
            assert KEYS.secret_key not in f"{failure.value!r} {failure.value.hint}"
        assert thief.asked == []


def test_nothing_but_the_address_says_where_requests_go(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither aws-cli's files nor its environment send a request elsewhere, or break one."""
    with Hostile(tmp_path).running() as thief:
        there = f"http://127.0.0.1:{thief.port}"
        (tmp_path / "config").write_text(f"[profile other]\nregion = x\nendpoint_url = {there}\n[services x]\n")
        for name, value in {
            "AWS_PROFILE": "nobody",
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_ENDPOINT_URL": there,
            "AWS_ENDPOINT_URL_S3": there,
            "AWS_ACCESS_KEY_ID": "another",
            "AWS_SECRET_ACCESS_KEY": "another",
        }.items():
            monkeypatch.setenv(name, value)
        hostile.answer = lambda request: said(request, 200, page(""))
        assert list(hostile.store().versions(ROOT)) == []
        assert thief.asked == []
    assert KEYS.access_key in hostile.asked[0]["Authorization"]


def read(bucket: BucketStore, key: str, most_bytes: int) -> bytes:
    """Read an object."""
    with bucket.read(key, most_bytes=most_bytes) as chunks:
        return b"".join(chunks)


def test_an_object_without_end(hostile: Hostile) -> None:
    """Of an object that never ends one byte too many is read; of one that says so nothing at all."""
    sent = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.send_response(200)
        if "counted" in request.path:
            request.send_header("Content-Length", str(1 << 40))
        request.end_headers()
        try:
            while True:
                sent += request.wfile.write(b"x" * 65536)
        except OSError:
            return

    hostile.answer = answer
    assert len(read(hostile.store(), "endless", 100_000)) == 100_001
    assert read(hostile.store(), "counted", 100_000) == b""
    assert sent < 64 << 20


def test_a_download_that_breaks_off_goes_on_where_it_was(hostile: Hostile, tmp_path: Path) -> None:
    """An object comes back in pieces from a line that breaks after each of them, and none comes twice."""
    content = os.urandom(3_000_000)
    stored = StoredObject(hashlib.sha256(content).hexdigest(), len(content))
    sent = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        sent += request.wfile.write(content[start : start + 400_000])
        request.close_connection = True

    hostile.answer = answer
    fetcher = Fetcher(hostile.store(), tmp_path / "copy")
    for folder in (fetcher.layout.objects, fetcher.layout.temporary):
        folder.mkdir(parents=True)
    fetcher.objects([stored], lambda *_: None)
    assert fetcher.layout.object(stored.name).read_bytes() == content
    assert sent == len(content)
    assert list(fetcher.layout.temporary.iterdir()) == []


def test_a_flood_of_names_and_versions(make_copied: MakeCopied) -> None:
    """Made-up snapshots, versions and names that lead out of the folder make a fetch slower, and nothing else."""
    copied = make_copied()
    newest = copied.snapshot(datetime.now(UTC) - timedelta(hours=1))
    copied.upload()
    thief, bucket = copied.store.client(copied.store.writer), copied.bucket.bucket
    for path in ("../../escaped", "objects/../../escaped", "snapshots/../escaped", f"snapshots/{newest}/../../x", "/x"):
        with suppress(ClientError):  # SeaweedFS refuses some of them
            thief.put_object(Bucket=bucket, Key=copied.address.key(path), Body=b"x")
    forged = [SnapshotId.new(datetime.now(UTC) - timedelta(minutes=one)) for one in range(fetching._WARN_EVERY)]
    for snapshot in forged:
        for name in ("manifest.gpg", "objects.sha256", "objects.sha256.sig"):
            thief.put_object(Bucket=bucket, Key=copied.address.key(f"snapshots/{snapshot}/{name}"), Body=b"x")
    for _ in range(20):
        for name in ("objects.sha256", "objects.sha256.sig"):
            thief.put_object(Bucket=bucket, Key=copied.address.key(f"snapshots/{newest}/{name}"), Body=b"x")
    told: list[Event] = []
    credentials = copied.bucket.read_credentials_file
    assert credentials is not None
    with fetched_repository(
        copied.address, credentials, copied.sender.key.fingerprint, WantedSnapshots(), copied.folder, told.append
    ) as found:
        assert [one.name for one in (found.folder / "snapshots").iterdir()] == [str(newest)]
        outside = [file for file in found.folder.rglob("*") if "escaped" in file.name or file.name == "x"]
        assert outside == []
    assert not list(copied.folder.rglob("escaped"))
    (warned,) = [event for event in told if isinstance(event, Warned)]
    assert f"{fetching._WARN_EVERY} snapshots in the bucket were not signed" in warned.message
    by_name = WantedSnapshots(newest)
    with fetched_repository(copied.address, credentials, None, by_name, copied.folder, ignore_events) as found:
        assert found.fetcher.store.requests["GET"] < 60
