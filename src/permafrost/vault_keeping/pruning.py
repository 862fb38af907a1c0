"""Which snapshots that a server no longer shows an honest prune explains. Pure.

An honest prune removes what the server's rules do not keep, and never the newest. So with declared rules the verdict is
exact: the rules are applied to what the server shows and what it has withdrawn. Without any (a server older than the
declaration) two things are odd: that the newest goes, and that at once fewer than half of all are left.

A snapshot that is still on its way may be what the prune made room for, and the vault cannot count it yet. It excuses
a withdrawal, but only for so long: nothing obliges a server to send what it has announced.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import is_ahead, newest
from permafrost.repository.retention import RetentionRules, snapshots_to_keep
from permafrost.vault_keeping.withdrawals import Withdrawal

EXCUSED_FOR = timedelta(minutes=45)
TOLD_FOR = timedelta(days=7)
"""So long a withdrawal is reported, and until something newer is shown; then the ledger's entry ends."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to make of the withdrawals."""

    explained: frozenset[str]
    """Those that need no further word."""
    odd: frozenset[str]
    """Those that no prune explains."""


def judge(
    shown: Collection[SnapshotId],
    announced: Collection[SnapshotId],
    withdrawn: Collection[Withdrawal],
    rules: RetentionRules | None,
    *,
    most_shown: int,
    now: datetime,
    wall: datetime,
) -> Verdict:
    """Return the verdict on what is `withdrawn`, at `now` by the vault's own time and `wall` by the machine's clock.

    `shown` are the snapshots of the history that the server still has, and whole ones that the history could not
    take; `announced` those of which only the signed list has come; `most_shown` how many were shown at most lately.
    """
    latest_shown = newest(shown, wall)
    late = {
        withdrawal.snapshot
        for withdrawal in withdrawn
        if now - withdrawal.since > TOLD_FOR and latest_shown is not None and withdrawal.snapshot < str(latest_shown)
    }
    open_ones = {
        SnapshotId(withdrawal.snapshot): withdrawal
        for withdrawal in withdrawn
        if not withdrawal.is_explained and withdrawal.snapshot not in late
    }
    if rules is not None:
        odd = _kept_by(rules, {*shown, *open_ones}, wall) & open_ones.keys()
        explained = open_ones.keys() - odd
    else:
        odd, explained = _odd_without_rules(shown, open_ones.keys(), most_shown, wall), set()
    newer_by = max(announced, default=None)
    excused = {
        snapshot
        for snapshot in odd
        if newer_by is not None and newer_by > snapshot and now - open_ones[snapshot].since < EXCUSED_FOR
    }
    return Verdict(
        explained=frozenset(map(str, explained)) | late,
        odd=frozenset(map(str, odd - excused)),
    )


def _kept_by(rules: RetentionRules, snapshots: set[SnapshotId], wall: datetime) -> set[SnapshotId]:
    """Return what the rules keep; what lies in the future is never pruned, and takes no other's place."""
    dated = {snapshot for snapshot in snapshots if not is_ahead(snapshot, wall)}
    moments = snapshots_to_keep((snapshot.made_at for snapshot in dated), rules)
    return {snapshot for snapshot in snapshots if snapshot not in dated or snapshot.made_at in moments}


def _odd_without_rules(
    shown: Collection[SnapshotId], gone: Collection[SnapshotId], most_shown: int, wall: datetime
) -> set[SnapshotId]:
    latest = newest({*shown, *gone}, wall)
    if 2 * len(shown) < most_shown:
        return set(gone)
    return {latest} & set(gone) if latest is not None else set()
