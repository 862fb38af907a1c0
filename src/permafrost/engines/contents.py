"""What an engine read of the database for one snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.engines.media_list_publishing import CurrentList
from permafrost.findings import FindingKind
from permafrost.postgres.building.sequences import SequenceValue
from permafrost.postgres.catalog import DatabaseDescription
from permafrost.repository.manifest import ObjectKind, Table
from permafrost.repository.objects import StoredObject

OPEN_TRANSACTION = (
    "a transaction has been open for longer than WAL summaries go back (SELECT pid, xact_start, query FROM "
    "pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start; SELECT * FROM pg_prepared_xacts)"
)
OVERLOOKED = "a scan of everything found rows that a scan of changed blocks would have overlooked; run backup --full"


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

    @property
    def finding(self) -> FindingKind | None:
        """What of this the admin should know as long as it lasts."""
        if self.overlooked or self.reason == OVERLOOKED:
            return FindingKind.ROWS_OVERLOOKED
        return FindingKind.OLD_TRANSACTION if self.reason == OPEN_TRANSACTION else None

    @property
    def message(self) -> str:
        """What it found, or why everything was scanned."""
        if self.overlooked:
            return (
                f"{self.overlooked} row versions came or went in blocks that PostgreSQL's WAL summaries do not list: "
                "snapshots made since the last scan of every row may be wrong"
            )
        return f"every row is scanned: {self.reason}"


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
    media_list: CurrentList | None = None
