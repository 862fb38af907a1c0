"""Buckets of object stores that hold a copy of the repository: [[buckets]], on a server or on a vault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from permafrost.config.section import Section
from permafrost.config.values import Flag, SecretFile

DEFAULT_REGION = "us-east-1"


def endpoint(text: str) -> str:
    """Return the URL of an object store, if what goes there is safe from others; raise `ValueError` if not."""
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("must be the URL of an object store, like https://s3.example.com, without a path")
    if parts.username or parts.password:
        raise ValueError("holds credentials; these belong in credentials_file")
    if parts.scheme == "http" and not _is_near(parts.hostname):
        raise ValueError("must begin with https://, except for a private address, such as one in your own VPN")
    return text.rstrip("/")


def _is_near(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def _matching(pattern: str, words: str) -> AfterValidator:
    """Return what refuses text that does not match, and says in words what it must be."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"must be {words}")
        return text

    return AfterValidator(check)


_PLACE_NAME, _BUCKET_NAME = r"[a-z0-9][a-z0-9-]{0,62}", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_FOLDER, _REGION = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", r"[a-z0-9-]{1,60}"
_PREFIX = f"(?:{_FOLDER}(?:/{_FOLDER}){{0,4}})?"
Endpoint = Annotated[str, AfterValidator(endpoint)]
PlaceName = Annotated[
    str,
    _matching(_PLACE_NAME, "up to 63 lower-case letters, digits and hyphens, no hyphen first"),
    Field(json_schema_extra={"pattern": f"^{_PLACE_NAME}$"}),
]
BucketName = Annotated[
    str,
    _matching(_BUCKET_NAME, "3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit first and last"),
    Field(json_schema_extra={"pattern": f"^{_BUCKET_NAME}$"}),
]
Region = Annotated[
    str,
    _matching(_REGION, "up to 60 lower-case letters, digits and hyphens"),
    Field(json_schema_extra={"pattern": f"^{_REGION}$"}),
]
Prefix = Annotated[
    str,
    _matching(
        _PREFIX, "up to five folders with slashes in between, each of letters, digits, dots, - and _, no dot first"
    ),
    Field(json_schema_extra={"pattern": f"^{_PREFIX}$"}),
]


class Bucket(Section):
    """A bucket of an object store that speaks S3. It gets a copy of every snapshot; needs the extra `s3`."""

    name: PlaceName = Field(
        description="What this place is called in `permafrost status`, and by `permafrost bucket` commands."
    )
    bucket: BucketName = Field(description="The bucket's own name.")
    endpoint: Endpoint | None = Field(
        default=None, description="The object store's URL, like https://s3.example.com. If left out, that of AWS."
    )
    region: Region = Field(default=DEFAULT_REGION, description="The bucket's region, as its provider calls it.")
    prefix: Prefix = Field(
        default="",
        description="Where in the bucket copies are; below it, each repository has a folder named by its id.",
    )
    credentials_file: SecretFile = Field(
        description="A file whose first line is ACCESS_KEY_ID:SECRET_ACCESS_KEY, mode 0400 or 0600. Give it a key that "
        "may put objects and their retention in this bucket, and no more."
    )
    read_credentials_file: SecretFile | None = Field(
        default=None,
        description="Likewise, a key that may read and list, for `permafrost verify --bucket`; better kept elsewhere.",
    )
    lock_days: Annotated[int, Field(ge=0, le=3650, strict=True)] = Field(
        default=30,
        description="For how many days everything that a kept snapshot needs is locked at any time, in the compliance "
        "mode of Object Lock, in which nobody can shorten it. 0 for no lock.",
    )
    removes: Flag = Field(
        default=True,
        description="Whether to remove objects that no kept snapshot needs, once their lock has run out.",
    )
    upload_kib_per_s: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] | None = Field(
        default=None,
        description="Send at most this many KiB each second, so that a line at home stays usable. If left out, as fast "
        "as the line allows.",
    )
    late_hours: Annotated[int, Field(ge=1, le=8760, strict=True)] = Field(
        default=24, description="Report a snapshot that is not in the bucket after this many hours."
    )


def check_bucket_names_differ(buckets: Iterable[Bucket]) -> None:
    """Raise `ValueError` if two buckets have the same name."""
    names = [bucket.name for bucket in buckets]
    if len(set(names)) != len(names):
        raise ValueError("two buckets in [[buckets]] have the same name")
