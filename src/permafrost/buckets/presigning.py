"""Addresses with a signature, by which one object of a bucket can be read for some minutes without the key itself.

They are computed here; nothing is requested.
"""

from __future__ import annotations

from pathlib import Path

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.client import make_client

_VALID_S = 900


class Presigner:
    """Signs with a key that may read. The root of the address is before each object's key; it may be empty."""

    def __init__(self, address: BucketAddress, credentials_file: Path) -> None:
        """Read the credentials; raise `KeyFileError` if they cannot be read."""
        self._address = address
        self._client = make_client(address, credentials_file)

    def url(self, path: str) -> str:
        """Return the address at which the object at `path` can be read."""
        key = "/".join(filter(None, (self._address.root, path)))
        named = {"Bucket": self._address.bucket, "Key": key}
        return self._client.generate_presigned_url("get_object", Params=named, ExpiresIn=_VALID_S)
