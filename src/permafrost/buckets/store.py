"""One bucket, through boto3. Only this module sends requests; every failure becomes an error that says what it means.

Requests are made one by one, each object by one PUT, so that the store itself compares its SHA-256. What a request
costs is counted in `requests`.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.failures import meaning_of
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import KeyFileError

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

PARALLEL = 4
_CONNECT_S, _READ_S, _ATTEMPTS = 10, 60, 3
_CHUNK_BYTES = 1 << 20
_MEDIA_CACHE = "public, max-age=315576000, immutable"  # as Mastodon's paperclip.rb sets it


@dataclass(frozen=True, slots=True)
class Stored:
    """What a PUT left: the version's id ("" if the bucket keeps no versions), and the store's own tag of its bytes."""

    version: str
    tag: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an object that a listing showed."""

    key: str
    version: str
    tag: str
    size_bytes: int
    modified_at: datetime
    is_latest: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that a listing showed."""

    key: str
    tag: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store says of a version: its SHA-256 in hexadecimal (None if it keeps none), size, and lock's end."""

    stored: Stored
    sha256: str | None
    size_bytes: int
    locked_until: datetime | None


class BucketStore:
    """The bucket of an address, with one identity's credentials. Safe to use from several threads."""

    def __init__(self, address: BucketAddress, credentials_file: Path) -> None:
        """Read the credentials; nothing is requested yet. Raise `KeyFileError` if they cannot be read."""
        self.address = address
        self.requests: Counter[str] = Counter()
        """How many requests of each kind were made, those repeated by boto3 counted once."""
        self._lock = Lock()
        self._client = client_of(address, credentials_file)

    @property
    def name(self) -> str:
        """The bucket's own name."""
        return self.address.bucket

    def put(
        self,
        key: str,
        body: IO[bytes] | bytes,
        sha256: str,
        *,
        locked_until: datetime | None = None,
        creates_only: bool = True,
    ) -> Stored:
        """Store the bytes, whose SHA-256 the store compares with `sha256`; return what they are there.

        Raise `ExistsError` if it `creates_only` and the key exists, `UnsupportedError` if the bucket takes no
        lock, `IntegrityError` if the bytes are others, `BucketError` for what else fails.
        """
        asked: dict[str, Any] = {"ChecksumSHA256": b64encode(bytes.fromhex(sha256)).decode()}
        if creates_only:
            asked["IfNoneMatch"] = "*"
        if locked_until is not None:
            asked |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": locked_until}
        with self._request("PUT", f"storing {key}"):
            answer = self._client.put_object(Bucket=self.name, Key=key, Body=body, **asked)
        return Stored(_version_id(answer.get("VersionId")), answer["ETag"].strip('"'))

    def put_media(self, key: str, content: bytes, kind: str, acl: str) -> None:
        """Store a media file of that type for the web, to be read by whom `acl` says; empty to say nothing.

        Raise `UnsupportedError` if the bucket takes no access for single files, and otherwise as `put` does.
        """
        access: dict[str, Any] = {"ACL": acl} if acl else {}
        digest = b64encode(hashlib.sha256(content).digest()).decode()
        with self._request("PUT", f"storing {key}"):
            self._client.put_object(
                Bucket=self.name,
                Key=key,
                Body=content,
                ContentType=kind,
                CacheControl=_MEDIA_CACHE,
                ChecksumSHA256=digest,
                **access,
            )

    def objects(self, prefix: str) -> Iterator[Listed]:
        """Yield the objects whose keys begin so, a thousand with each request, the present version of each."""
        position: dict[str, Any] = {}
        while True:
            with self._request("LIST", f"listing {prefix or 'the bucket'}"):
                answer = self._client.list_objects_v2(Bucket=self.name, Prefix=prefix, **position)
            for one in answer.get("Contents", ()):
                yield Listed(one["Key"], one["ETag"].strip('"'), one["Size"])
            if not answer.get("IsTruncated"):
                return
            position = {"ContinuationToken": answer["NextContinuationToken"]}

    def lock(self, key: str, version: str, until: datetime) -> None:
        """Lock a version until then, which is no earlier than its present lock. Raise as `put` does."""
        named: dict[str, Any] = {"VersionId": version} if version else {}
        with self._request("LOCK", f"locking {key}"):
            self._client.put_object_retention(
                Bucket=self.name, Key=key, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}, **named
            )

    def remove(self, key: str, version: str) -> None:
        """Remove a version; raise `BucketRefusedError` while its lock holds."""
        named: dict[str, Any] = {"VersionId": version} if version else {}
        with self._request("DELETE", f"removing {key}"):
            self._client.delete_object(Bucket=self.name, Key=key, **named)

    def look(self, key: str, version: str = "") -> Seen:
        """Return what the store says of an object, without reading it; raise `MissingError` if there is none."""
        named: dict[str, Any] = {"VersionId": version} if version else {}
        with self._request("HEAD", f"looking at {key}"):
            answer = self._client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED", **named)
        kept = answer.get("ChecksumSHA256", "")
        is_whole = kept and "-" not in kept  # of an upload in parts the sum is one of sums
        return Seen(
            Stored(_version_id(answer.get("VersionId")), answer["ETag"].strip('"')),
            b64decode(kept).hex() if is_whole else None,
            answer["ContentLength"],
            answer.get("ObjectLockRetainUntilDate"),
        )

    @contextmanager
    def read(self, key: str, version: str = "") -> Iterator[Iterator[bytes]]:
        """Yield the bytes of an object, piece by piece; raise `MissingError` if there is none."""
        named: dict[str, Any] = {"VersionId": version} if version else {}
        with self._request("GET", f"reading {key}"):
            body = self._client.get_object(Bucket=self.name, Key=key, **named)["Body"]
            try:
                yield body.iter_chunks(_CHUNK_BYTES)
            finally:
                body.close()

    def versions(self, prefix: str) -> Iterator[Version]:
        """Yield all versions of all objects whose keys begin so, a thousand with each request; not deletion markers."""
        position: dict[str, Any] = {}
        while True:
            with self._request("LIST", f"listing {prefix}"):
                answer = self._client.list_object_versions(Bucket=self.name, Prefix=prefix, **position)
            for one in answer.get("Versions", ()):
                yield Version(
                    one["Key"],
                    _version_id(one.get("VersionId")),
                    one["ETag"].strip('"'),
                    one["Size"],
                    one["LastModified"],
                    one["IsLatest"],
                )
            if not answer.get("IsTruncated"):
                return
            position = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer.get("NextVersionIdMarker", "")}

    def clock_ahead_s(self) -> float:
        """Return by how many seconds the store's clock is ahead of ours. Any answer tells, a refusal too."""
        with self._request("HEAD", "asking for the time"):
            try:
                answer: Any = self._client.head_bucket(Bucket=self.name)
            except ClientError as error:
                answer = error.response
            said = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0  # a store without a clock has no opinion

    @contextmanager
    def _request(self, kind: str, what: str) -> Iterator[None]:
        with self._lock:
            self.requests[kind] += 1
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # its text, and that of what it comes from, may quote the request
            raise meaning_of(error, what, self.name) from None


def _version_id(told: str | None) -> str:
    """Return the version's id, "" where the bucket keeps no versions: then the only one is called null, or nothing."""
    return "" if told in (None, "null") else told


def _credentials(file: Path) -> tuple[str, str]:
    access_key, colon, secret_key = read_secret_file(file).strip().partition(":")
    if not (access_key and colon and secret_key):
        raise KeyFileError(
            f"the credentials in {file} are not of the form ACCESS_KEY_ID:SECRET_ACCESS_KEY",
            hint="write both into its first line, with a colon in between",
        )
    return access_key, secret_key


def client_of(address: BucketAddress, credentials_file: Path) -> S3Client:
    """Return a client for the bucket with the credentials of the file; raise `KeyFileError` if there are none."""
    return _client(address, *_credentials(credentials_file))


def _client(address: BucketAddress, access_key: str, secret_key: str) -> S3Client:
    client: S3Client = boto3.Session(
        aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=address.region
    ).client(
        "s3",
        endpoint_url=address.endpoint,
        config=Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            max_pool_connections=PARALLEL * 2,
            # not all stores know the names of buckets as hosts
            s3={"addressing_style": "path" if address.endpoint else "auto"},
            signature_version="s3v4",  # for addresses with a signature, too
            user_agent_extra="permafrost",
        ),
    )
    return client
