"""Answers of Syncthing's REST API, as far as permafrost relies on them.

Only fields that exist from 1.19 to 2.x are here, or that may be None where an older one does not send them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$")


@dataclass(frozen=True, slots=True)
class PendingDevice:
    """A device that has knocked and that the configuration does not know."""

    device_id: str
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Connection:
    """How another device stands to this one at the moment."""

    connected: bool
    address: str
    client_version: str
    sent_bytes: int
    """What has left over this connection; the next one begins at 0."""

    @classmethod
    def parse(cls, answer: Json) -> Self:
        """Return the connection in one value of system/connections."""
        return cls(
            bool(answer.get("connected")),
            str(answer.get("address", "")),
            str(answer.get("clientVersion", "")),
            int(answer.get("outBytesTotal", 0)),
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """Syncthing's own sum of what a device lacks. Never proof that it holds anything: see holdings.py."""

    need_bytes: int
    need_items: int
    remote_state: str | None
    """None before 1.20; else `valid`, `paused`, `notSharing` or `unknown`."""

    @classmethod
    def parse(cls, answer: Json) -> Self:
        """Return the answer of db/completion."""
        return cls(
            int(answer.get("needBytes", 0)),
            int(answer.get("needItems", 0)),
            answer.get("remoteState"),
        )


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One file in a device's index."""

    size_bytes: int
    modified_ns: int
    is_usable: bool
    """It is neither deleted nor ignored nor invalid."""
    version: tuple[str, ...]

    @classmethod
    def parse(cls, answer: Json) -> Self:
        """Return the `local` or `global` entry of db/file."""
        unusable = any(answer.get(flag) for flag in ("deleted", "ignored", "invalid", "mustRescan"))
        return cls(
            int(answer.get("size", 0)),
            nanoseconds(str(answer.get("modified", ""))),
            bool(answer) and not unusable,
            tuple(answer.get("version") or ()),
        )


@dataclass(frozen=True, slots=True)
class FileState:
    """What this device's index says of one path, and which connected devices have its newest version."""

    local: IndexEntry
    newest: IndexEntry
    available_on: frozenset[str]

    @classmethod
    def parse(cls, answer: Json) -> Self:
        """Return the answer of db/file; a copy that is still in a temporary file is not counted as available."""
        available = answer.get("availability") or ()
        return cls(
            IndexEntry.parse(answer.get("local") or {}),
            IndexEntry.parse(answer.get("global") or {}),
            frozenset(holder["id"] for holder in available if not holder.get("fromTemporary")),
        )


@dataclass(frozen=True, slots=True)
class SyncthingEvent:
    """One event of the events API; ids count up within one mask of event types."""

    event_id: int
    kind: str
    data: Json


def nanoseconds(text: str) -> int:
    """Return an RFC 3339 time as nanoseconds since 1970; 0 if it is none. Go writes up to nine decimals."""
    match = _TIME.match(text)
    if match is None:
        return 0
    second, decimals, zone = match.groups()
    moment = datetime.fromisoformat(second + ("+00:00" if zone == "Z" else zone))
    return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + int((decimals or "0").ljust(9, "0"))
