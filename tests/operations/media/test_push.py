"""Media go back into a real bucket: equal, each with its access, and a push that broke off resumes."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from permafrost.buckets.address import BucketAddress
from permafrost.errors import BucketRefusedError, UsageError
from permafrost.events import ignore_events
from permafrost.operations.media.push import MediaPushRequest, push_media
from tests.fixtures.commands import command
from tests.fixtures.killing import killed_at
from tests.fixtures.seaweedfs import Keys, ObjectStore

AVATAR = "accounts/avatars/000/000/001/original/00112233445566aa.png"
HIDDEN = "media_attachments/files/000/000/002/original/0011223344556677.mp4"
FILES = {AVATAR: b"\x89PNG" * 500, HIDDEN: b"video" * 4000, "custom_emojis/images/000/000/003/static/a.png": b"e" * 9}


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A folder with three media files, one of them of a suspended account."""
    folder = tmp_path / "media"
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        file.chmod(0o600 if name == HIDDEN else 0o644)
    (folder / "accounts/link.png").symlink_to(folder / AVATAR)
    return folder


def _request(store: ObjectStore, folder: Path, bucket: str, **words: str) -> MediaPushRequest:
    key = folder.parent / "key"
    if not key.exists():
        store.admin.write(key)
    address = BucketAddress(bucket, "social", store.endpoint)
    return MediaPushRequest(folder, address, words.get("credentials") or key, words.get("acl", "public-read"))  # type: ignore[arg-type]


def test_media_come_back(object_store: ObjectStore, media: Path) -> None:
    """All files are in the bucket with their bytes and types; a second push sends what has changed alone."""
    bucket = object_store.new_bucket(is_locked=False)
    request = _request(object_store, media, bucket)
    first = push_media(request, ignore_events)
    assert (first.pushed.files, first.pushed.present, first.pushed.closed) == (3, 0, 1)
    client = object_store.client()
    listed = {one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == {f"social/{name}" for name in FILES}
    for name, content in FILES.items():
        answer = client.get_object(Bucket=bucket, Key=f"social/{name}")
        assert answer["Body"].read() == content
    assert client.head_object(Bucket=bucket, Key=f"social/{HIDDEN}")["ContentType"] == "video/mp4"
    assert "immutable" in client.head_object(Bucket=bucket, Key=f"social/{AVATAR}")["CacheControl"]
    (media / AVATAR).write_bytes(b"x" * len(FILES[AVATAR]))
    second = push_media(request, ignore_events)
    assert (second.pushed.files, second.pushed.present) == (1, 2)
    assert client.get_object(Bucket=bucket, Key=f"social/{AVATAR}")["Body"].read() == b"x" * len(FILES[AVATAR])
    third = push_media(request, ignore_events)
    assert (third.pushed.files, third.requests) == (0, 1)


def test_a_push_that_is_killed_resumes(object_store: ObjectStore, media: Path) -> None:
    """After kills between, and within, requests all files are in the bucket, and none is sent twice that was there."""
    bucket = object_store.new_bucket(is_locked=False)
    for number in range(12):
        (media / f"accounts/{number}.png").write_bytes(f"{number}".encode() * 5000)
    request = _request(object_store, media, bucket)
    for step in (3, 8, 15):
        assert killed_at(step, lambda: push_media(request, ignore_events), ("http.client.send",), writes=False)
    client, count = object_store.client(), len(FILES) + 12
    there = client.list_objects_v2(Bucket=bucket).get("KeyCount", 0)
    assert 0 < there < count
    last = push_media(request, ignore_events)
    assert (last.pushed.present, last.pushed.files) == (there, count - there)
    for file in (file for file in media.rglob("*") if file.is_file() and not file.is_symlink()):
        answer = client.get_object(Bucket=bucket, Key=f"social/{file.relative_to(media)}")
        assert answer["Body"].read() == file.read_bytes()


def test_what_cannot_work_is_said(object_store: ObjectStore, media: Path, tmp_path: Path) -> None:
    """A folder that is none, and a key that may not, are errors; nothing is sent."""
    bucket = object_store.new_bucket(is_locked=False)
    with pytest.raises(UsageError, match="no folder"):
        push_media(_request(object_store, tmp_path / "elsewhere", bucket), ignore_events)
    key = object_store.stranger.write(tmp_path / "strangers-key")
    request = MediaPushRequest(media, BucketAddress(bucket, "", object_store.endpoint), key, "")
    with pytest.raises(BucketRefusedError):
        push_media(request, ignore_events)
    assert "Contents" not in object_store.client().list_objects_v2(Bucket=bucket)


def test_the_command(object_store: ObjectStore, media: Path, tmp_path: Path) -> None:
    """The command says what it sent, and what a bucket's name cannot be."""
    bucket = object_store.new_bucket(is_locked=False)
    key = object_store.admin.write(tmp_path / "admin-key")
    words = ("media", "push", "--from", str(media), "--credentials", str(key), "--endpoint", object_store.endpoint)
    done = command(*words, "--bucket", bucket)
    assert done.returncode == 0, done.stderr
    assert "3 files" in done.stdout
    assert "1 file of suspended accounts made private" in done.stdout
    refused = command(*words, "--bucket", "No Bucket")
    assert (refused.returncode, "cannot be used" in refused.stderr) == (2, True)


class NoAcl(BaseHTTPRequestHandler):
    """A store with an empty bucket that takes no access for single files, as buckets of AWS do by default."""

    taken: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """List nothing."""
        self._answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

    def do_PUT(self) -> None:
        """Refuse what names an access."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if "x-amz-acl" in self.headers:
            self._answer(400, b"<Error><Code>AccessControlListNotSupported</Code></Error>")
        else:
            self.taken.append(self.path)
            self._answer(200, b"")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
        """Say nothing."""


def test_a_bucket_that_takes_no_access(media: Path, tmp_path: Path) -> None:
    """Files are sent without access where it is refused, and a warning counts those that should be private."""
    key = Keys("AK", "SK").write(tmp_path / "key")
    said: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), NoAcl) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = BucketAddress("files", "", f"http://127.0.0.1:{server.server_address[1]}")
        request = MediaPushRequest(media, address, key, "public-read")
        result = push_media(request, lambda event: said.append(str(event)))
        server.shutdown()
    assert (result.pushed.files, result.pushed.has_acl) == (3, False)
    assert sorted(NoAcl.taken) == sorted(f"/files/{name}" for name in FILES)
    assert [text for text in said if "1 files belong to suspended accounts" in text]
