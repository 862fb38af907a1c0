"""boto3's client of a bucket, made from an address and a file of credentials, and nothing else.

Rules:

1. No file of aws-cli's and no AWS_PROFILE or AWS_ENDPOINT_URL says where requests go: credentials are sent to the
   address, and to nobody else.
2. Time-outs are on silence, not on duration, so that a slow line is no failure. A system buffers megabytes of what was
   sent, which a slow line takes minutes to carry while nothing seems to happen; so the buffer is kept small.
3. What is sent goes at the pace given, all requests together.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config

from permafrost.buckets.address import BucketAddress
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import KeyFileError

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

PARALLEL = 4
CONNECT_S, READ_S, ATTEMPTS = 30, 120, 3
"""The first holds for each piece of 16 KiB that is sent, too: four of them a minute are slow enough for any line."""
_SEND_BUFFER_BYTES = 256 << 10
_PIECE_BYTES = 16 << 10
_NOT_FROM_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key of an object store, whose `repr` does not show it."""

    name: str = field(repr=False)
    secret: str = field(repr=False)


class Pace:
    """Lets bytes pass at no more than `bytes_per_s`, those of all threads together."""

    def __init__(
        self,
        bytes_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock, self._sleep = clock, sleep
        self._free_at = clock()
        self._lock = Lock()

    def wait_for(self, count: int) -> None:
        """Return when `count` more bytes may pass."""
        with self._lock:
            now = self._clock()
            begins_at = max(now, self._free_at)
            self._free_at = begins_at + count / self._bytes_per_s
        if begins_at > now:
            self._sleep(begins_at - now)


class PacedBody:
    """A file whose bytes, or `size_bytes` of them from where it stands, are sent at a pace.

    `on_sent` hears of each piece. They are read for the signature first, at any speed, and then again to be sent.
    """

    def __init__(
        self, file: IO[bytes], pace: Pace | None, on_sent: Callable[[int], None], size_bytes: int | None = None
    ) -> None:
        self._file, self._pace, self._on_sent = file, pace, on_sent
        self._start = file.tell()
        self._end = file.seek(0, os.SEEK_END) if size_bytes is None else self._start + size_bytes
        file.seek(self._start)
        self._is_sent = False

    def begin_sending(self) -> None:
        """What is read from now on goes to the store."""
        self._is_sent = True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        left = self._end - self._file.tell()
        wanted = left if size < 0 else min(size, left)
        if self._is_sent:
            wanted = min(wanted, _PIECE_BYTES)
            if self._pace is not None:
                self._pace.wait_for(wanted)
            self._on_sent(wanted)
        return self._file.read(wanted)

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, as a request that is made again does."""
        self._is_sent = False
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._end}[whence]
        return self._file.seek(base + offset) - self._start

    def __len__(self) -> int:
        return self._end - self._start


def make_client(address: BucketAddress, credentials: Path | AccessKey) -> S3Client:
    """Return a client for the bucket, with a key or the file of one; nothing is requested yet.

    Raise `KeyFileError` if the file cannot be read.
    """
    key = credentials if isinstance(credentials, AccessKey) else _read_key(credentials)
    session = boto3.Session(
        aws_access_key_id=key.name,
        aws_secret_access_key=key.secret,
        region_name=address.region,
        botocore_session=botocore.session.Session(session_vars=_NOT_FROM_FILES),
    )
    client: S3Client = session.client("s3", endpoint_url=address.endpoint, config=_config(address))
    client.meta.events.register("before-send.s3", _begin_sending)
    _keep_send_buffers_small(client)
    return client


def _config(address: BucketAddress) -> Config:
    settings: dict[str, Any] = {"ignore_configured_endpoint_urls": True}  # not in its type
    return Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=PARALLEL * 2,
        response_checksum_validation="when_required",  # what comes is compared with its name, which no store can forge
        # not all stores know the names of buckets as hosts
        s3={"addressing_style": "path" if address.endpoint else "auto"},
        signature_version="s3v4",  # for addresses with a signature, too
        user_agent_extra="permafrost",
        **settings,
    )


def _begin_sending(request: Any, **_: object) -> None:  # noqa: ANN401 - of botocore, which has no types
    if isinstance(request.body, PacedBody):
        request.body.begin_sending()


def _keep_send_buffers_small(client: S3Client) -> None:
    """Give the client's connections a small send buffer; botocore has no setting for that."""
    endpoint: Any = client._endpoint  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    options: list[tuple[int, int, int]] = getattr(endpoint.http_session, "_socket_options", [])
    options.append((socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES))


def _read_key(file: Path) -> AccessKey:
    access_key, colon, secret_key = read_secret_file(file).strip().partition(":")
    if not (access_key and colon and secret_key):
        raise KeyFileError(
            f"the credentials in {file} are not of the form ACCESS_KEY_ID:SECRET_ACCESS_KEY",
            hint="write both into its first line, with a colon in between",
        )
    return AccessKey(access_key, secret_key)
