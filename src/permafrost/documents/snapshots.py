"""The document of snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.document import Document


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
    audited: bool | None
    """whether an audited backup made it; null with `--repository`, where run records are not known"""
    proven: bool | None
    """whether a drill has proven it; null likewise"""
    vaults: tuple[str, ...]
    """the vaults whose receipts name it"""
    kept_by: tuple[str, ...]
    """the rules of [retention] that keep it; empty if none does, and with `--repository`"""
    kept_until: datetime | None
    """until when, if backups are made on schedule; null if that is not known"""


@dataclass(frozen=True, slots=True)
class SnapshotsRemoveDocument(Document):
    """A snapshot that was removed."""

    removed: str
    """its id"""
    objects_removed: int
    """how many objects no other snapshot needed"""
    bytes_freed: int
    """their size"""


@dataclass(frozen=True, slots=True)
class SnapshotsDocument(Document):
    """The snapshots of a repository."""

    repository: str
    """the folder"""
    snapshots: tuple[SnapshotDocument, ...]
    """the snapshots, oldest first"""
