"""What a vault can say about one server's snapshots: the content of a receipt before it is signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.ledger import LedgerEntry
from permafrost.vault.arrivals import KEPT, Arrival, Records
from permafrost.vault.media.balance import noted_balance
from permafrost.vault.media.history import NOT_KEPT
from permafrost.vault.media.needed import LIST_SNAPSHOT, MediaBalance
from permafrost.vault.media.versions import MediaVersions


@dataclass(frozen=True, slots=True)
class StatedMedia:
    """The media against the list of that snapshot, how many are rotten, and since when all were read."""

    snapshot: str
    balance: MediaBalance
    rotten: int
    all_read_since: datetime | None
    is_sealed: bool
    """Whether what is counted is sealed objects, by the list that names those."""


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
    media_list: StatedMedia | None
    """None if no list has come."""
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
    records: Records, repository_id: str, made_at: datetime, free_bytes: int, media: MediaVersions | None
) -> Statement:
    """Return what the records say; `media` is None if the server sends none."""
    known = records.arrivals()
    kept = [arrival for arrival in known if arrival.state == KEPT]
    count, size, oldest = records.size()
    present, gone, _ = media.totals() if media is not None else (0, 0, 0)
    return Statement(
        repository_id=repository_id,
        made_at=made_at,
        snapshots=tuple(sorted(kept, key=lambda one: (str(one.arrived_at), one.snapshot))),
        waiting=sum(arrival.arrived_at is None for arrival in known),
        objects=count,
        size_bytes=size,
        bad_objects=len(records.bad_objects()),
        all_verified_since=oldest,
        media_files=present,
        media_kept_after_removal=gone,
        media_list=_stated_media(records, media) if media is not None else None,
        media_not_kept=int(records.note(NOT_KEPT) or 0),
        free_bytes=free_bytes,
        findings=records.ledger.open(),
    )


def _stated_media(records: Records, media: MediaVersions) -> StatedMedia | None:
    balance, snapshot = noted_balance(records), records.note(LIST_SNAPSHOT)
    if balance is None or not snapshot:
        return None
    return StatedMedia(snapshot, balance, *media.read_since(), media.is_sealed)
