"""Which of the snapshots in a bucket are fetched. Anybody who may write there can make up names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import is_ahead


@dataclass(frozen=True, slots=True)
class WantedSnapshots:
    """Which snapshots' own files are fetched: that one, or the newest `most` of those up to `until` (None: of all)."""

    snapshot: SnapshotId | None = None
    until: datetime | None = None
    most: int = 1

    def among(self, found: Iterable[SnapshotId], now: datetime) -> Iterator[SnapshotId]:
        """Yield those of the snapshots, the newest first, that may be wanted; future ones come last."""
        if self.snapshot is not None:
            yield from (one for one in found if one == self.snapshot)
            return
        candidates = [one for one in found if self.until is None or one.made_at <= self.until]
        yield from sorted(candidates, key=lambda one: is_ahead(one, now))
