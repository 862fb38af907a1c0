"""Drops from a history what the vault's own retention no longer keeps."""

from __future__ import annotations

from datetime import datetime

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.layout import SnapshotId
from permafrost.vault.arrivals import DROPPED, KEPT, Records
from permafrost.vault.history import HistoryRules, to_keep
from permafrost.vault.history_folder import HistoryFolder


def drop_old(
    history: HistoryFolder, records: Records, rules: HistoryRules, now: datetime, found: FindingSink
) -> str | None:
    """Drop the snapshots that no rule keeps, and their objects; return what was done in words, None if nothing was."""
    arrivals = {
        arrival.snapshot: arrival.arrived_at for arrival in records.arrivals(KEPT) if arrival.arrived_at is not None
    }
    doomed = arrivals.keys() - to_keep(arrivals, rules, now)
    if not doomed:
        return None
    try:
        removed = history.drop(SnapshotId(name) for name in doomed)
    except (RepositoryError, IntegrityError) as error:
        found(FindingKind.CANNOT_DROP, "history", f"nothing is dropped from the history: {error.message}")
        return None
    with records.together():
        records.set_state(doomed, DROPPED)
        records.forget_objects([name for name in records.object_names() if not history.holds(name)])
    return (
        f"{len(doomed)} snapshots were dropped from the history by its retention, {removed.objects} objects with them"
    )
