"""--repository as a folder, as an address in a bucket, or as a bucket of the configuration, `bucket:NAME`.

What speaks S3 is imported only for buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from permafrost.buckets.address import BucketAddress, address_of, is_bucket_address, parse_bucket_address
from permafrost.buckets.extra import require_boto3
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.cli.shared.bucket_choice import named_bucket
from permafrost.config.buckets import Bucket
from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError, UsageError
from permafrost.events import Reporter
from permafrost.repository.objects import StoredObject
from permafrost.repository.repository import Repository

_NAMED = "bucket:"
Fetch = Callable[[Sequence[StoredObject], Reporter], None]


@dataclass(frozen=True, slots=True)
class NamedBucket:
    """The bucket of that name in the configuration."""

    name: str


Place = Path | BucketAddress | NamedBucket


class PlaceType(click.ParamType[Place]):
    """A folder, a bucket's address, or a bucket of the configuration."""

    name = "place"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Place:
        """Return what the word means; a wrong address is a mistake of the command line."""
        if isinstance(value, Place):
            return value
        if str(value).startswith(_NAMED):
            return NamedBucket(str(value).removeprefix(_NAMED))
        if not is_bucket_address(str(value)):
            return Path(value)
        try:
            return parse_bucket_address(str(value))
        except PermafrostError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A repository's address, and the file of a key that may read it.

    `name` is that of the configured bucket, if it is the configured repository's copy there; None otherwise.
    """

    address: BucketAddress
    credentials_file: Path
    name: str | None = None


def in_bucket(
    place: Place | None, credentials_file: Path | None, configuration: Configuration | None
) -> BucketPlace | None:
    """Return where in a bucket the place is, None for a folder. Raise `UsageError` if no key was given for it."""
    if place is None or isinstance(place, Path):
        if credentials_file is not None:
            raise UsageError("--bucket-credentials was given, and --repository is no bucket's address")
        return None
    buckets = configuration.buckets if configuration else ()
    repository_id = _own_id(configuration)
    if isinstance(place, NamedBucket):
        place = _address(named_bucket(buckets, place.name), repository_id)
    for bucket in buckets:
        if credentials_file is None and (bucket.bucket, bucket.endpoint) == (place.bucket, place.endpoint):
            credentials_file = bucket.read_credentials_file
    if credentials_file is None:
        raise UsageError(
            "no key for the bucket was given",
            hint="give --bucket-credentials FILE, whose first line is ACCESS_KEY_ID:SECRET_ACCESS_KEY",
        )
    names = (one.name for one in buckets if repository_id and address_of(one, repository_id) == place)
    return BucketPlace(place, credentials_file, next(names, None))


def _address(bucket: Bucket, repository_id: str | None) -> BucketAddress:
    if repository_id is None:
        raise UsageError(
            "the repository on this machine cannot be read, so its id, the folder in the bucket, is not known",
            unchanged="everything",
            hint="give the address on the recovery sheet: --repository s3://...",
        )
    return address_of(bucket, repository_id)


def _own_id(configuration: Configuration | None) -> str | None:
    """Return the id of the configured repository, None if it is lost, or there is no configuration."""
    try:
        return Repository.open(configuration.repository.path).repository_id if configuration else None
    except PermafrostError:
        return None


@contextmanager
def folder_of(
    place: Place | None,
    bucket: BucketPlace | None,
    fingerprint: str | None,
    wanted: WantedSnapshots,
    scratch: Path,
    report: Reporter,
) -> Iterator[tuple[Path | None, Fetch | None]]:
    """Yield the folder to read from, and what fetches objects into it; None for a folder that has them."""
    if bucket is None:
        assert place is None or isinstance(place, Path)  # noqa: S101 - for the type
        yield place, None
        return
    require_boto3()
    from permafrost.loading.bucket_source import fetched_repository  # noqa: PLC0415 - boto3 is an extra, and slow

    with fetched_repository(
        bucket.address,
        bucket.credentials_file,
        fingerprint,
        wanted,
        scratch,
        report,
    ) as fetched:
        yield fetched.folder, fetched.fetch
