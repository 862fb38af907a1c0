"""Is a snapshot whole? Decided only by what is seen and the clock (docs/format.md, section 6). Pure.

Syncthing keeps no order: a reader on a vault may see a snapshot before its objects, its folder before its files,
or objects of a snapshot that never comes. Missing is therefore not wrong until a deadline has passed; only bytes
that are not what their name says are wrong at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from permafrost.repository.object_list import ObjectList


class SnapshotState(StrEnum):
    """What can be said of a snapshot."""

    WHOLE = "whole"
    IN_FLIGHT = "in flight"
    OVERDUE = "overdue"
    CORRUPT = "corrupt"


class FileState(StrEnum):
    """What was seen of one file that a snapshot needs."""

    GOOD = "good"
    MISSING = "missing"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a snapshot.

    `object_list` is None while objects.sha256 or its signature has not arrived; `signature_is_valid` is False
    if they are there and do not fit. `since` is when the reader first saw the snapshot, by its own clock.
    """

    since: datetime
    object_list: ObjectList | None
    signature_is_valid: bool
    files: Mapping[str, FileState]
    """The state of the manifest and of each object, by name (SHA-256); what is not there is missing."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a snapshot's state is, and because of which files (by SHA-256)."""

    state: SnapshotState
    missing: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()


def judge(seen: Seen, now: datetime, patience: timedelta) -> Judgement:
    """Return the snapshot's state at `now`, where missing files may arrive until `patience` after it was first seen.

    A clock that was set back makes nothing overdue; more files seen never makes a snapshot worse, unless one of
    them is bad.
    """
    late = SnapshotState.OVERDUE if now - seen.since > patience else SnapshotState.IN_FLIGHT
    if not seen.signature_is_valid:
        return Judgement(SnapshotState.CORRUPT)
    if seen.object_list is None:
        return Judgement(late)
    needed = [seen.object_list.manifest.name, *(stored.name for stored in seen.object_list.objects)]
    states = {name: seen.files.get(name, FileState.MISSING) for name in dict.fromkeys(needed)}
    missing = tuple(name for name, state in states.items() if state is FileState.MISSING)
    bad = tuple(name for name, state in states.items() if state is FileState.BAD)
    if bad:
        return Judgement(SnapshotState.CORRUPT, missing, bad)
    if missing:
        return Judgement(late, missing)
    return Judgement(SnapshotState.WHOLE)
