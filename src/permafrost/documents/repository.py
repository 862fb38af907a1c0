"""The documents of backup, snapshots, verify and prune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class BackupDocument(Document):
    """What a backup stored."""

    snapshot: str
    """the new snapshot's id"""
    engine: str
    """`dump` or `log`"""
    duration_s: float
    """how long it took"""
    bytes_new: int
    """bytes that are new in the repository"""
    snapshot_bytes: int
    """bytes of everything the snapshot needs"""
    files_new: int
    """files that are new in the repository"""
    rows_new: int
    """rows that are new since the last snapshot; with engine `dump`, all"""
    rows_gone: int
    """rows that are gone since the last snapshot; with engine `dump`, 0"""
    tables: int
    """how many tables were counted"""
    segments: int
    """how many segments there are; with engine `dump`, 0"""
    segments_changed: int
    """how many of them changed; with engine `dump`, 0"""
    work_s: Mapping[str, float]
    """seconds by kind of work, those of parallel workers added up: `connect`, `scan`, `compare`, `fetch` (rows from
    PostgreSQL), `frame` (facts of the database, pg_dump), `dump` (with engine `dump`), `compress`, `seal` (waiting for
    gpg and the disk), `publish`"""
    audited: bool
    """whether the manifest has a digest of every table"""
    held_by: tuple[str, ...]
    """with `--wait`, the names of the vaults that hold the snapshot"""


@dataclass(frozen=True, slots=True)
class SnapshotDocument(Document):
    """A snapshot, as far as it can be described without a key."""

    snapshot: str
    """its id"""
    made_at: datetime
    """when it was made, by the server's clock"""
    objects: int | None
    """how many objects it needs; null if its list cannot be read"""
    size_bytes: int | None
    """the size of everything it needs; null likewise"""
    new_bytes: int | None
    """the size of what no older snapshot here needs; null likewise"""
    problem: str | None
    """why its list cannot be read; null if it can"""


@dataclass(frozen=True, slots=True)
class SnapshotsDocument(Document):
    """The snapshots of a repository."""

    repository: str
    """the folder"""
    snapshots: tuple[SnapshotDocument, ...]
    """the snapshots, oldest first"""


SeverityWord = Literal["notice", "warning", "alarm"]


@dataclass(frozen=True, slots=True)
class FindingDocument(Document):
    """Something that needs a human."""

    kind: str
    """a stable name, see [findings.md](findings.md)"""
    subject: str
    """what it is about: for instance an object, a snapshot, a vault"""
    message: str
    """what was found, for people"""
    severity: SeverityWord
    """`notice`, `warning` or `alarm`"""
    remedy: str
    """what to do"""


@dataclass(frozen=True, slots=True)
class VerifyDocument(Document):
    """What was read of a repository, and what is wrong with it. Exit code 3 or 14 if there are findings.

    Kinds of findings: `corrupt-object`, `corrupt-snapshot`, `bad-signature`, `overdue`.
    """

    repository: str
    """the folder"""
    fingerprint: str
    """the key that signatures were checked with"""
    fingerprint_was_given: bool
    """false if the folder's own key had to be trusted"""
    snapshots: int
    """how many there are"""
    in_flight: int
    """how many of them are still arriving"""
    objects: int
    """how many objects were read"""
    bytes: int
    """their size"""
    unreferenced: int
    """how many objects no snapshot needs; `prune` removes them"""
    duration_s: float
    """how long it took"""
    findings: tuple[FindingDocument, ...]
    """what is wrong"""


@dataclass(frozen=True, slots=True)
class PruneDocument(Document):
    """What was removed from the repository."""

    kept: tuple[str, ...]
    """ids of the snapshots that stay"""
    removed: tuple[str, ...]
    """ids of those that were removed, or with `--dry-run` would be"""
    objects_removed: int
    """how many objects were removed"""
    bytes_freed: int
    """their size"""
    dry_run: bool
    """whether nothing was removed"""
