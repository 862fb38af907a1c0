"""How a vault fetches media from object stores: [fetching] and [[media_sources]] in vault.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from permafrost.config.section import Section
from permafrost.config.values import Flag, Name, PublicUrl


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
