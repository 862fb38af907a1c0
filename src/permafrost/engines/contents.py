"""What an engine read of the database for one snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.postgres.building.sequences import SequenceValue
from permafrost.postgres.catalog import DatabaseDescription
from permafrost.repository.manifest import ObjectKind, Table
from permafrost.repository.objects import StoredObject


@dataclass(frozen=True, slots=True)
class Counts:
    """How much an engine found changed: row versions, and segments (of which it knows only with the log)."""

    rows_new: int
    rows_gone: int
    segments: int = 0
    segments_changed: int = 0


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the log scanned: how many pages of how many, and why all of them ('' if only those that had changed).

    `overlooked` row versions came or went on pages that should not have changed since the last run.
    """

    pages_scanned: int
    pages: int
    reason: str
    overlooked: int


@dataclass(frozen=True, slots=True)
class SnapshotContents:
    """The database's part of a snapshot: facts, tables, and the objects that it needs, with their kinds.

    The order of `objects` is that of their indices; `new_objects` are those of them that this run stored.
    """

    engine: str
    description: DatabaseDescription
    schema_version: str | None
    tables: tuple[Table, ...]
    sequences: tuple[SequenceValue, ...]
    objects: tuple[tuple[StoredObject, ObjectKind], ...]
    new_objects: frozenset[str]
    counts: Counts
    scanned: Scanned | None = None
