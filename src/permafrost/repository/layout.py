"""Names and paths in a repository, format 1 (docs/format.md, section 1).

Names from a repository are data from elsewhere: each is matched whole against its pattern before a path is made
of it, so that no name can leave its folder.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path

from permafrost.errors import IntegrityError, UsageError

FORMAT = 1
FACTS_FILE = "repository.json"
SIGNING_KEY_FILE = "signing-key.asc"
KEY_CHECK_FILE = "key-check.gpg"
BASE_FILES = ("README.txt", "restore.py", FACTS_FILE, SIGNING_KEY_FILE)
"""What is in a repository besides its folders, with no snapshot in it."""
OBJECT_MODE = 0o444
FOLDER_MODE = 0o755

_OBJECT_NAME = re.compile(r"[0-9a-f]{64}")
_OBJECT_FILE = re.compile(r"([0-9a-f]{64})\.gpg")
_OBJECT_PATH = re.compile(rb"objects/([0-9a-f]{2})/(\1[0-9a-f]{62})\.gpg")
_SNAPSHOT_ID = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{8})")  # \d would match the digits of every script
_REPOSITORY_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, order=True)
class SnapshotId:
    """A snapshot's name: when it was made (UTC, to the second) and 8 random hexadecimal digits."""

    text: str

    def __post_init__(self) -> None:
        """Raise `IntegrityError` unless the text is a snapshot's name with a real date in it."""
        _check_name(self.text)

    def __str__(self) -> str:
        return self.text

    @property
    def made_at(self) -> datetime:
        """When the server says that the snapshot was made, in UTC."""
        return _parse_time(self.text.partition("-")[0])

    @classmethod
    def new(cls, now: datetime, newest: SnapshotId | None = None) -> SnapshotId:
        """Return a new name for a snapshot made at `now` (with a time zone), greater than that of the `newest`.

        Names tell seconds, so the second of two within one gets the next second's. Only a clock that is more than
        a minute behind the newest snapshot is believed as it is; `permafrost status` tells of that.
        """
        moment = now.astimezone(UTC).replace(microsecond=0)
        if newest is not None and moment <= newest.made_at <= moment + timedelta(minutes=1):
            moment = newest.made_at + timedelta(seconds=1)
        return cls(f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}")

    @classmethod
    def is_name(cls, text: str) -> bool:
        """Return whether `text` is a snapshot's name."""
        try:
            cls(text)
        except IntegrityError:
            return False
        return True


@lru_cache(maxsize=16384)
def _check_name(text: str) -> None:
    """Raise `IntegrityError` unless the text is a snapshot's name; a vault meets the same ones at each look."""
    match = _SNAPSHOT_ID.fullmatch(text)
    if not match:
        raise IntegrityError(f"{text!r} is not a snapshot's name")
    try:
        _parse_time(match[1])
    except ValueError as error:
        raise IntegrityError(f"{text!r} is not a snapshot's name: no such date") from error


def _parse_time(text: str) -> datetime:
    day, second = text[:8], text[9:15]  # strptime takes ten times as long, and a hostile server sends many names
    return datetime(
        int(day[:4]), int(day[4:6]), int(day[6:]), int(second[:2]), int(second[2:4]), int(second[4:]), tzinfo=UTC
    )


def in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return the moment in that zone (None: the machine's), or in UTC if the calendar has no such local time."""
    try:
        return moment.astimezone(zone)
    except OverflowError:  # a name may say 9999-12-31 or 0001-01-01
        return moment


def is_object_name(text: str) -> bool:
    """Return whether `text` is an object's name: the SHA-256 of its bytes in lower-case hexadecimal."""
    return _OBJECT_NAME.fullmatch(text) is not None


def object_name_of_file(file_name: str) -> str | None:
    """Return the object's name of a file in objects/, None if it is not an object's file."""
    match = _OBJECT_FILE.fullmatch(file_name)
    return match[1] if match else None


def is_repository_id(text: str) -> bool:
    """Return whether `text` is a repository's id: 32 hexadecimal digits."""
    return _REPOSITORY_ID.fullmatch(text) is not None


def object_path(name: str) -> str:
    """Return where the object `name` lies, relative to the repository, with forward slashes."""
    if not is_object_name(name):
        raise IntegrityError(f"{name!r} is not an object's name")
    return f"objects/{name[:2]}/{name}.gpg"


def object_of_path(path: bytes) -> str | None:
    """Return the name of the object at `path` below a repository, None if no object has such a path."""
    match = _OBJECT_PATH.fullmatch(path)
    return match[2].decode("ascii") if match else None


def snapshot_path(snapshot: SnapshotId) -> str:
    """Return where the snapshot's folder lies, relative to the repository."""
    return f"snapshots/{snapshot}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The places in the repository at `root`."""

    root: Path

    @property
    def objects(self) -> Path:
        """The folder of objects."""
        return self.root / "objects"

    @property
    def snapshots(self) -> Path:
        """The folder of snapshots."""
        return self.root / "snapshots"

    @property
    def temporary(self) -> Path:
        """The folder of unfinished files, which Syncthing ignores; only a holder of the lock may touch it."""
        return self.root / "tmp"

    @property
    def lock(self) -> Path:
        """The lock file, which Syncthing ignores."""
        return self.root / "lock"

    @property
    def facts(self) -> Path:
        """repository.json."""
        return self.root / FACTS_FILE

    @property
    def key_check(self) -> Path:
        """The key check, which only the writer needs."""
        return self.root / KEY_CHECK_FILE

    @property
    def signing_key(self) -> Path:
        """The public key of the snapshots' signatures."""
        return self.root / SIGNING_KEY_FILE

    def object(self, name: str) -> Path:
        """The file of the object `name`."""
        return self.root / object_path(name)

    def snapshot(self, snapshot: SnapshotId) -> Path:
        """The folder of a snapshot."""
        return self.root / snapshot_path(snapshot)


SYNCTHING_IGNORES = ("/tmp", "/lock", "/.*.new")  # noqa: S108 - patterns, not places


def parse_moment(text: str) -> datetime:
    """Return the moment that a person named: `2026-11-22 14:00`, local time unless an offset follows.

    Raise `UsageError` for anything else, and for a day without a time: it would mean its first second.
    """
    hint = 'use the form "2026-11-22 14:00", "2026-11-22 14:00:30+01:00" or "2026-11-22 13:00Z"'
    try:
        moment = datetime.fromisoformat(text.strip())
        if ":" not in text and "T" not in text:
            raise UsageError(f"{text!r} has no time of day", hint=hint)
        return moment.astimezone()  # what has no offset is local time
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a moment", hint=hint) from error


def parse_snapshot_choice(text: str) -> SnapshotId | None:
    """Return the snapshot that a person named, None for `latest`; raise `UsageError` for anything else."""
    if text == "latest":
        return None
    try:
        return SnapshotId(text)
    except IntegrityError as error:
        raise UsageError(
            f"{text!r} is not a snapshot", hint="permafrost snapshots lists them; or use latest"
        ) from error
