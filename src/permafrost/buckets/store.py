"""One bucket, through boto3. Only this module sends requests; every failure becomes an error that says what it means.

Requests are made one by one, each object by one PUT, or one for each part, so that the store itself compares its
SHA-256. What a request costs is counted in `requests`. No answer is believed to be of a certain size, or to end.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.client import AccessKey, Pace, PacedBody, make_client
from permafrost.buckets.failures import meaning_of, not_understood

_CHUNK_BYTES = 1 << 20
_MOST_PAGES = 20_000
"""No honest listing is longer: 20 million versions."""
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
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store says of a version: its SHA-256 in hexadecimal (None if it keeps none), size, and lock's end."""

    stored: Stored
    sha256: str | None
    size_bytes: int
    locked_until: datetime | None


class BucketStore:
    """The bucket of an address, with one identity's credentials. Safe to use from several threads."""

    def __init__(self, address: BucketAddress, credentials: Path | AccessKey, pace: Pace | None = None) -> None:
        """Read the credentials, if they are in a file; nothing is requested yet. `KeyFileError` if that cannot be read.

        What is put there is sent at the `pace`, if there is one.
        """
        self.address = address
        self.requests: Counter[str] = Counter()
        """How many requests of each kind were made, those repeated by boto3 counted once."""
        self.on_sent: Callable[[int], None] = lambda _: None
        """Hears of bytes that are sent, from several threads."""
        self._pace = pace
        self._lock = Lock()
        self._client = make_client(address, credentials)

    @property
    def name(self) -> str:
        """The bucket's own name."""
        return self.address.bucket

    # --- writing ---

    def put(
        self,
        key: str,
        body: IO[bytes] | bytes,
        sha256: str,
        *,
        locked_until: datetime | None = None,
        creates_only: bool = True,
    ) -> Stored:
        """Store the file's bytes, whose SHA-256 the store compares with `sha256`; return what they are there.

        Raise `ExistsError` if it `creates_only` and the key exists, `UnsupportedError` if the bucket takes no
        lock, `IntegrityError` if the bytes are others, `BucketError` for what else fails.
        """
        asked = {"ChecksumSHA256": _in_base64(sha256), **_lock(locked_until), **_creates(creates_only)}
        paced: Any = PacedBody(BytesIO(body) if isinstance(body, bytes) else body, self._pace, self.on_sent)
        with self._request("PUT", f"storing {key}"):
            answer = self._client.put_object(Bucket=self.name, Key=key, Body=paced, **asked)
            return Stored(_version_id(answer.get("VersionId")), answer["ETag"].strip('"'))

    def begin_parts(self, key: str, locked_until: datetime | None) -> str:
        """Begin an upload in parts, whose object will be locked; return its id. Raise as `put` does."""
        asked: dict[str, Any] = {"ChecksumAlgorithm": "SHA256", **_lock(locked_until)}
        with self._request("PARTS", f"storing {key} in parts"):
            return self._client.create_multipart_upload(Bucket=self.name, Key=key, **asked)["UploadId"]

    def put_part(self, key: str, upload: str, number: int, body: PartOf, sha256: str) -> str:
        """Store a part, whose SHA-256 the store compares; return its tag. `MissingError` if the upload is gone."""
        paced: Any = PacedBody(body.file, self._pace, self.on_sent, body.size_bytes)
        with self._request("PUT", f"storing part {number} of {key}"):
            answer = self._client.upload_part(
                Bucket=self.name,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=paced,
                ChecksumSHA256=_in_base64(sha256),
            )
            return answer["ETag"].strip('"')

    def finish_parts(self, key: str, upload: str, parts: Sequence[tuple[str, str]], *, creates_only: bool) -> Stored:
        """Make an object of the parts, whose tags and SHA-256 are given in order; return what it is there."""
        named: Any = {
            "Parts": [
                {"PartNumber": number, "ETag": f'"{tag}"', "ChecksumSHA256": _in_base64(sha256)}
                for number, (tag, sha256) in enumerate(parts, 1)
            ]
        }
        with self._request("PARTS", f"storing {key} in parts"):
            answer = self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload, MultipartUpload=named, **_creates(creates_only)
            )
            return Stored(_version_id(answer.get("VersionId")), answer["ETag"].strip('"'))

    def abandon_parts(self, key: str, upload: str) -> None:
        """Remove the parts of an upload that nobody will finish."""
        with self._request("DELETE", f"abandoning the parts of {key}"):
            self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload)

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
        """Yield the objects whose keys begin so, a thousand with each request, the present version of each.

        Raise `BucketUnreachableError` if the listing does not end.
        """
        token, what = "", f"listing {prefix or 'the bucket'}"
        for _ in range(_MOST_PAGES):
            position: dict[str, Any] = {"ContinuationToken": token} if token else {}
            with self._request("LIST", what):
                answer = self._client.list_objects_v2(Bucket=self.name, Prefix=prefix, **position)
                found = [
                    Listed(one["Key"], one["ETag"].strip('"'), one["Size"], one["LastModified"])
                    for one in answer.get("Contents", ())
                ]
                after = answer["NextContinuationToken"] if answer.get("IsTruncated") else ""
            yield from found
            if not after:
                return
            if after == token:
                break
            token = after
        raise not_understood(what, self.name, "its listing does not end")

    def lock(self, key: str, version: str, until: datetime) -> None:
        """Lock a version until then, which is no earlier than its present lock. Raise as `put` does."""
        with self._request("LOCK", f"locking {key}"):
            self._client.put_object_retention(
                Bucket=self.name,
                Key=key,
                Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until},
                **_named(version),
            )

    def remove(self, key: str, version: str) -> None:
        """Remove a version; raise `BucketRefusedError` while its lock holds."""
        with self._request("DELETE", f"removing {key}"):
            self._client.delete_object(Bucket=self.name, Key=key, **_named(version))

    # --- reading ---

    def look(self, key: str, version: str = "") -> Seen:
        """Return what the store says of an object, without reading it; raise `MissingError` if there is none."""
        with self._request("HEAD", f"looking at {key}"):
            answer = self._client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED", **_named(version))
            kept = answer.get("ChecksumSHA256", "")
            is_whole = kept and "-" not in kept  # of an upload in parts the sum is one of sums
            return Seen(
                Stored(_version_id(answer.get("VersionId")), answer["ETag"].strip('"')),
                b64decode(kept).hex() if is_whole else None,
                answer["ContentLength"],
                answer.get("ObjectLockRetainUntilDate"),
            )

    @contextmanager
    def read(self, key: str, version: str = "", *, most_bytes: int, start: int = 0) -> Iterator[Iterator[bytes]]:
        """Yield the bytes of an object from `start` on, piece by piece; raise `MissingError` if there is none.

        Of one that is longer than `most_bytes` nothing comes; one byte too many, if it has lied about its length.
        """
        named = _named(version) | ({"Range": f"bytes={start}-"} if start else {})
        with self._request("GET", f"reading {key}", is_parsed=False):
            answer = self._client.get_object(Bucket=self.name, Key=key, **named)
            body, left = answer["Body"], most_bytes + 1 - start
            try:
                yield _at_most(body.iter_chunks(_CHUNK_BYTES), left if answer.get("ContentLength", 0) < left else 0)
            finally:
                body.close()

    def versions(self, prefix: str) -> Iterator[Version]:
        """Yield all versions of all objects whose keys begin so, a thousand with each request; not deletion markers.

        Raise `BucketUnreachableError` if the listing does not end.
        """
        position: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            with self._request("LIST", f"listing {prefix}"):
                answer = self._client.list_object_versions(Bucket=self.name, Prefix=prefix, **position)
                found = [_version(one) for one in answer.get("Versions", ())]
                is_more = answer.get("IsTruncated")
                after = {"KeyMarker": answer["NextKeyMarker"]} if is_more else {}
                after |= {"VersionIdMarker": answer["NextVersionIdMarker"]} if answer.get("NextVersionIdMarker") else {}
            yield from found
            if not is_more:
                return
            if after == position:
                break
            position = after
        raise not_understood(f"listing {prefix}", self.name, "its listing does not end")

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
    def _request(self, kind: str, what: str, *, is_parsed: bool = True) -> Iterator[None]:
        """Count the request of the block, and raise what its failure means; its answer may be parsed there, too."""
        with self._lock:
            self.requests[kind] += 1
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # its text, and that of what it comes from, may quote the request
            raise meaning_of(error, what, self.name) from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if not is_parsed:
                raise
            raise not_understood(what, self.name, f"its answer makes no sense ({type(error).__name__})") from None


@dataclass(frozen=True, slots=True)
class PartOf:
    """So many bytes of a file, from where it stands."""

    file: IO[bytes]
    size_bytes: int


def _lock(until: datetime | None) -> dict[str, Any]:
    return {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until} if until is not None else {}


def _creates(creates_only: bool) -> dict[str, Any]:
    return {"IfNoneMatch": "*"} if creates_only else {}


def _named(version: str) -> dict[str, Any]:
    return {"VersionId": version} if version else {}


def _in_base64(sha256: str) -> str:
    return b64encode(bytes.fromhex(sha256)).decode()


def _version(listed: Any) -> Version:  # noqa: ANN401 - as boto3 returns it
    return Version(
        listed["Key"],
        _version_id(listed.get("VersionId")),
        listed["ETag"].strip('"'),
        listed["Size"],
        listed["LastModified"],
        listed["IsLatest"],
    )


def _version_id(told: str | None) -> str:
    """Return the version's id, "" where the bucket keeps no versions: then the only one is called null, or nothing."""
    return "" if told is None or told == "null" else told


def _at_most(chunks: Iterator[bytes], left: int) -> Iterator[bytes]:
    while left > 0 and (chunk := next(chunks, b"")):
        yield chunk[:left]
        left -= len(chunk)
