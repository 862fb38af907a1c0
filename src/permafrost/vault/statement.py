"""What a vault can say about one server's snapshots: the content of a receipt before it is signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.ledger import LedgerEntry
from permafrost.vault.arrivals import KEPT, Arrival, Records
from permafrost.vault.media_history import NOT_KEPT


@dataclass(frozen=True, slots=True)
class Statement:
    """The state of one server's history at `made_at`, by the vault's clock, as are all times but the findings'."""

    repository_id: str
    made_at: datetime
    snapshots: tuple[Arrival, ...]
    """The history, by arrival. Of each: every object was compared with its name, and the list with its signature."""
    waiting: int
    """How many more have come, and are not whole, refused, or not taken yet."""
    objects: int
    size_bytes: int
    bad_objects: int
    all_verified_since: datetime | None
    """Since when, by the vault's own time, no object has not been read again; None if there is none."""
    media_files: int
    media_kept_after_removal: int
    media_not_kept: int
    """Paths that were received and are not in the history, by the last whole scan."""
    free_bytes: int
    findings: tuple[LedgerEntry, ...]
    """What holds, last seen first."""

    @property
    def newest(self) -> Arrival | None:
        """The snapshot that arrived last."""
        return self.snapshots[-1] if self.snapshots else None


def statement_of(
    records: Records, repository_id: str, made_at: datetime, free_bytes: int, media: tuple[int, int]
) -> Statement:
    """Return what the records say; `media`: how many files are present, and how many versions are kept that are not."""
    known = records.arrivals()
    kept = [arrival for arrival in known if arrival.state == KEPT]
    count, size, oldest = records.size()
    return Statement(
        repository_id=repository_id,
        made_at=made_at,
        snapshots=tuple(sorted(kept, key=lambda one: (str(one.arrived_at), one.snapshot))),
        waiting=sum(arrival.arrived_at is None for arrival in known),
        objects=count,
        size_bytes=size,
        bad_objects=len(records.bad_objects()),
        all_verified_since=oldest,
        media_files=media[0],
        media_kept_after_removal=media[1],
        media_not_kept=int(records.note(NOT_KEPT) or 0),
        free_bytes=free_bytes,
        findings=records.ledger.open(),
    )
