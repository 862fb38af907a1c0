"""Whatever an object store answers becomes an error that says what it means, and never what was requested."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from permafrost.buckets import client
from permafrost.buckets.address import BucketAddress
from permafrost.buckets.failures import ExistsError, UnsupportedError
from permafrost.buckets.store import BucketStore
from permafrost.errors import (
    BucketClockError,
    BucketFullError,
    BucketRefusedError,
    BucketUnreachableError,
    IntegrityError,
    KeyFileError,
    PermafrostError,
)

ACCESS_KEY, SECRET_KEY = "AKIAVERYSECRET4711", "verysecret4711verysecret"


@dataclass
class Answering:
    """A server that answers each PUT with a status and a body, and a store that asks it."""

    store: BucketStore
    status: int = 200
    body: str = ""

    def put(self, status: int, body: str) -> None:
        """Put an object, and have it answered so."""
        self.status, self.body = status, body
        put(self.store)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key."""
    file = tmp_path_factory.mktemp("key") / "key"
    file.touch(0o600)
    file.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
    return file


@pytest.fixture(scope="module")
def answering(key_file: Path) -> Iterator[Answering]:
    """A store whose answers are the test's."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Answering(_store(key_file, server.server_address[1]))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        server.shutdown()


def _store(key_file: Path, port: int) -> BucketStore:
    return BucketStore(BucketAddress("some-bucket", "ab" * 16, f"http://127.0.0.1:{port}"), key_file)


def put(store: BucketStore) -> None:
    """Put an object."""
    store.put("key", b"x", hashlib.sha256(b"x").hexdigest())


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (403, "QuotaExceeded", BucketFullError),
        (507, "InsufficientStorage", BucketFullError),
        (507, "XMinioStorageFull", BucketFullError),
        (400, "ExpiredToken", BucketRefusedError),
        (403, "InvalidAccessKeyId", BucketRefusedError),
        (404, "NoSuchBucket", BucketRefusedError),
        (403, "RequestTimeTooSkewed", BucketClockError),
        (400, "BadDigest", IntegrityError),
        (412, "PreconditionFailed", ExistsError),
        (501, "NotImplemented", UnsupportedError),
        (409, "SomethingNew", BucketUnreachableError),
    ],
)
def test_what_a_store_answers(answering: Answering, status: int, code: str, meaning: type[PermafrostError]) -> None:
    """Each code of an object store has its meaning, and nothing else that it says is passed on."""
    body = f"<Error><Code>{code}</Code><Message>{ACCESS_KEY} {SECRET_KEY} \x1b[31m</Message></Error>".replace(
        "\x1b", ""
    )
    with pytest.raises(meaning) as failure:
        answering.put(status, body)
    said = f"{failure.value!r} {failure.value.hint} {failure.value.__cause__!r}"
    assert code in failure.value.message or code == "NoSuchBucket"
    assert ACCESS_KEY not in said
    assert SECRET_KEY not in said


@pytest.mark.parametrize("body", ["", "<html>bad gateway</html>", "<Error><Code>a b\nc</Code></Error>"])
def test_an_answer_that_is_none(answering: Answering, body: str) -> None:
    """A proxy's page, or nothing, is a store that fails; no word of it is quoted but the HTTP status."""
    with pytest.raises(BucketUnreachableError, match=r"answered 409|answered nothing"):
        answering.put(409, body)


def test_a_store_that_stalls_is_given_up(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes a connection and never answers is given up."""
    monkeypatch.setattr(client, "READ_S", 0.2)
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(BucketUnreachableError, match="ReadTimeout"):
        put(_store(key_file, silent.getsockname()[1]))


@pytest.mark.parametrize("content", ["only-one-word", ":secret", "access:"])
def test_a_key_file_in_another_form(tmp_path: Path, content: str) -> None:
    """A file that holds no access key and secret key with a colon in between is named; its content is not."""
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(content)
    with pytest.raises(KeyFileError) as failure:
        _store(file, 1)
    assert str(file) in failure.value.message
    assert content not in failure.value.message + failure.value.hint
