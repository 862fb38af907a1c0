"""How a vault fetches media from object stores: [fetching] and [[media_sources]] in vault.toml."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from permafrost.config.buckets import DEFAULT_REGION, BucketName, Endpoint, Prefix, Region
from permafrost.config.section import Section
from permafrost.config.values import Flag, Name, PublicUrl, SecretFile


class Fetching(Section):
    """How media are fetched from object stores, by their public addresses."""

    concurrent: Annotated[int, Field(ge=1, le=32, strict=True)] = Field(
        default=4, description="How many files of a server are fetched at the same time."
    )
    requests_per_s: Annotated[int, Field(ge=1, le=10_000, strict=True)] = Field(
        default=50, description="At most this many requests a second, to the store of each server."
    )
    megabytes_per_s: Annotated[int, Field(ge=1, le=10_000, strict=True)] = Field(
        default=20, description="At most this many megabytes a second, from the store of each server."
    )
    gigabytes_a_day: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = Field(
        default=100, description="At most this many gigabytes a day, from the store of each server; the rest waits."
    )
    recheck_days: Annotated[int, Field(ge=0, le=3650, strict=True)] = Field(
        default=90,
        description="Within how many days each file that is held is fetched again, and compared with what came first. "
        "0 for never.",
    )
    allow_private_addresses: Flag = Field(
        default=False,
        description="Whether stores may be in a private network or on this machine, and speak http. Otherwise a server "
        "that was broken into could make the vault ask there.",
    )


class MediaSource(Section):
    """What is special about the object store of one server; none is needed for most."""

    server: Name = Field(description="The server's name, as `permafrost vault list` shows it.")
    url: PublicUrl | None = Field(
        default=None,
        description="Fetch from this address and no other, whatever address the server names. Set it to confirm that a "
        "server's media have moved.",
    )
    credentials_file: SecretFile | None = Field(
        default=None,
        description="For what not everyone may read, such as files of suspended accounts: a file whose first line is "
        "ACCESS_KEY_ID:SECRET_ACCESS_KEY, mode 0400 or 0600, of a key that may only read. Needs `bucket` and boto3.",
    )
    bucket: BucketName | None = Field(default=None, description="The bucket's own name, for requests with the key.")
    endpoint: Endpoint | None = Field(
        default=None, description="The object store's URL, for requests with the key. If left out, that of AWS."
    )
    region: Region = Field(default=DEFAULT_REGION, description="The bucket's region, as its provider calls it.")
    prefix: Prefix = Field(
        default="", description="What comes before the media in the bucket: Mastodon's S3_KEY_PREFIX."
    )
    signs_all: Flag = Field(
        default=False, description="Whether every request is signed, for a bucket in which nobody may read anything."
    )

    @model_validator(mode="after")
    def _a_key_is_of_a_bucket(self) -> Self:
        if (self.credentials_file is None) != (self.bucket is None):
            raise ValueError("credentials_file and bucket go together")
        if self.signs_all and self.credentials_file is None:
            raise ValueError("signs_all needs credentials_file")
        return self
