"""Where in which bucket a repository is, as one text that fits on a recovery sheet:
`s3://BUCKET/PREFIX/REPOSITORY-ID?endpoint=https://s3.example.com&region=eu-1`.

A repository's folder in a bucket is named by its id. So servers that share a bucket, and a server that was set up
again, never meet, and no forged repository.json can claim to be another repository's.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import TypeAdapter, ValidationError

from permafrost.config.buckets import DEFAULT_REGION, Bucket, BucketName, Endpoint, Prefix, Region
from permafrost.errors import UsageError
from permafrost.repository.layout import is_repository_id

_SCHEME = "s3://"
_FORM = "s3://BUCKET/PREFIX/REPOSITORY-ID?endpoint=https://HOST"


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A repository's folder in a bucket: `root` has no slash at either end. `endpoint` is None for AWS."""

    bucket: str
    root: str
    endpoint: str | None = None
    region: str = DEFAULT_REGION

    def __str__(self) -> str:
        asked = {"endpoint": self.endpoint, "region": self.region if self.region != DEFAULT_REGION else None}
        query = urlencode({name: value for name, value in asked.items() if value}, safe=":/")
        return f"{_SCHEME}{self.bucket}/{self.root}" + (f"?{query}" if query else "")

    @property
    def repository_id(self) -> str:
        """The id of the repository."""
        return self.root.rpartition("/")[2]

    def key(self, path: str) -> str:
        """Return the key of the object at `path` in the repository."""
        return f"{self.root}/{path}"


def is_bucket_address(text: str) -> bool:
    """Return whether the text means a bucket, and not a folder."""
    return text.startswith(_SCHEME)


def address_of(bucket: Bucket, repository_id: str) -> BucketAddress:
    """Return where a configured bucket holds the repository."""
    root = f"{bucket.prefix}/{repository_id}" if bucket.prefix else repository_id
    return BucketAddress(bucket.bucket, root, bucket.endpoint, bucket.region)


def parse_bucket_address(text: str) -> BucketAddress:
    """Return the address that `str(BucketAddress)` gave; raise `UsageError` if it is none."""
    try:
        parts = urlsplit(text)
        asked = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        if parts.scheme != "s3" or parts.fragment or set(asked) - {"endpoint", "region"}:
            raise ValueError("it is no address of a bucket")
        root = parts.path.strip("/")
        prefix, _, repository_id = root.rpartition("/")
        if not is_repository_id(repository_id):
            raise ValueError("it does not end with a repository's id, 32 hexadecimal digits")
        TypeAdapter(Prefix).validate_python(prefix)
        given = asked.get("endpoint", [""])[-1]
        return BucketAddress(
            TypeAdapter(BucketName).validate_python(parts.netloc),
            root,
            TypeAdapter(Endpoint).validate_python(given) if given else None,
            TypeAdapter(Region).validate_python(asked.get("region", [DEFAULT_REGION])[-1]),
        )
    except ValueError as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"{text!r} cannot be used: {reason}", hint=f"copy it from the recovery sheet: {_FORM}"
        ) from error
