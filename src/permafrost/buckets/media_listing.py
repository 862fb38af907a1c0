"""Lists the media in a Mastodon's bucket, flat and page by page: what lies in cache/ is not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.client import AccessKey
from permafrost.buckets.failures import MissingError
from permafrost.buckets.store import BucketStore
from permafrost.config.models import Media
from permafrost.errors import ConfigurationError
from permafrost.mastodon.media_census import PLACES, HeldFile
from permafrost.mastodon.settings import ObjectStorage

_UNCHANGED = "everything; a comparison only reads"


@dataclass(frozen=True, slots=True)
class MediaBucket:
    """Where a Mastodon's media are, with a key that may list them, or the file of one."""

    address: BucketAddress
    credentials: Path | AccessKey


def media_bucket(media: Media, storage: ObjectStorage | None) -> MediaBucket:
    """Return the bucket that the configuration names, otherwise Mastodon's own `storage`; likewise for the key.

    Raise `ConfigurationError` if neither names one.
    """
    own = storage if storage is not None and storage.kind == "S3" else None
    if media.bucket is not None:
        address = BucketAddress(media.bucket, media.prefix, media.endpoint, media.region)
    elif own is not None and own.container:
        address = BucketAddress(own.container, own.key_prefix, _endpoint(own), own.region)
    else:
        raise _not_set("which bucket the media are in", "bucket")
    if media.credentials_file is not None:
        return MediaBucket(address, media.credentials_file)
    if own is None or not (own.access_key and own.secret_key):
        raise _not_set("with which key the bucket can be listed", "credentials_file")
    return MediaBucket(address, AccessKey(own.access_key, own.secret_key))


def _endpoint(storage: ObjectStorage) -> str | None:
    """Return Mastodon's endpoint; None for AWS, where boto3 knows each region's."""
    try:
        parts = urlsplit(storage.endpoint)
        host, is_address = parts.hostname or "", parts.scheme in ("https", "http") and parts.port != 0
    except ValueError:
        host, is_address = "", False
    if not host or not is_address:
        raise ConfigurationError(
            "S3_ENDPOINT in Mastodon's environment is not a URL", unchanged=_UNCHANGED, hint="set bucket in [media]"
        )
    return None if host.endswith(".amazonaws.com") else storage.endpoint.rstrip("/")


def _not_set(what: str, key: str) -> ConfigurationError:
    return ConfigurationError(
        f"no file in [secrets] says {what}",
        unchanged=_UNCHANGED,
        hint=f"set {key} in [media], or name .env.production in [secrets] files",
    )


class MediaListing:
    """The listing of a bucket's media."""

    def __init__(self, bucket: MediaBucket) -> None:
        """Nothing is requested yet; raise `KeyFileError` if the key cannot be read."""
        self._store = BucketStore(bucket.address, bucket.credentials)
        self._before = f"{bucket.address.root}/" if bucket.address.root else ""

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(self._store.requests.values())

    def files(self) -> Iterator[HeldFile]:
        """Yield each object below the folders of local media. Raise `BucketError` if the store fails."""
        for folder in sorted({place.partition("/")[0] for place in PLACES}):
            for listed in self._store.objects(f"{self._before}{folder}/"):
                if not listed.key.endswith("/"):  # what some programs put there for a folder
                    path = listed.key.removeprefix(self._before)
                    yield HeldFile(path, listed.size_bytes, listed.modified_at.timestamp())

    def is_held(self, path: str) -> bool:
        """Return whether the bucket has that file now."""
        try:
            self._store.look(self._before + path)
        except MissingError:
            return False
        return True
