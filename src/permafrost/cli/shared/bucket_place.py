"""--repository as a folder or as an address in a bucket; what speaks S3 is imported only for the latter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from permafrost.buckets.address import BucketAddress, is_bucket_address, parse_bucket_address
from permafrost.buckets.extra import require_boto3
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError, UsageError
from permafrost.events import Reporter
from permafrost.repository.objects import StoredObject

Fetch = Callable[[Sequence[StoredObject], Reporter], None]


class PlaceType(click.ParamType[Path | BucketAddress]):
    """A folder, or a bucket's address."""

    name = "place"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path | BucketAddress:
        """Return what the word means; a wrong address is a mistake of the command line."""
        if isinstance(value, Path | BucketAddress):
            return value
        if not is_bucket_address(str(value)):
            return Path(value)
        try:
            return parse_bucket_address(str(value))
        except PermafrostError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A repository's address, and the file of a key that may read it."""

    address: BucketAddress
    credentials_file: Path


def in_bucket(
    place: Path | BucketAddress | None, credentials_file: Path | None, configuration: Configuration | None
) -> BucketPlace | None:
    """Return where in a bucket the place is, None for a folder. Raise `UsageError` if no key was given for it."""
    if not isinstance(place, BucketAddress):
        if credentials_file is not None:
            raise UsageError("--bucket-credentials was given, and --repository is no bucket's address")
        return None
    for bucket in configuration.buckets if configuration and credentials_file is None else ():
        if (bucket.bucket, bucket.endpoint) == (place.bucket, place.endpoint):
            credentials_file = bucket.read_credentials_file
    if credentials_file is None:
        raise UsageError(
            "no key for the bucket was given",
            hint="give --bucket-credentials FILE, whose first line is ACCESS_KEY_ID:SECRET_ACCESS_KEY",
        )
    return BucketPlace(place, credentials_file)


@contextmanager
def folder_of(
    place: Path | BucketAddress | None,
    bucket: BucketPlace | None,
    fingerprint: str | None,
    wanted: WantedSnapshots,
    scratch: Path,
    report: Reporter,
) -> Iterator[tuple[Path | None, Fetch | None]]:
    """Yield the folder to read from, and what fetches objects into it; None for a folder that has them."""
    if bucket is None:
        assert not isinstance(place, BucketAddress)  # noqa: S101 - for the type
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
