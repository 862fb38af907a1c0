"""Which snapshot is the newest: the newest that the clock allows. Pure.

A snapshot's name tells when it was made, by the server's clock. A clock that was wrong for one run, or somebody who
makes up a name, must not decide what `latest` means from then on. So a snapshot of a moment that is yet to come is
never the newest, takes no other's place in the retention, and is never removed by itself: its rows may be good.
Where all snapshots lie in the future it is this machine's clock that is wrong, and the newest name counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from permafrost.repository.layout import SnapshotId

AHEAD = timedelta(minutes=5)
"""Clocks of two machines may differ by so much."""


def is_ahead(snapshot: SnapshotId, now: datetime) -> bool:
    """Return whether the snapshot claims a moment that is yet to come."""
    return snapshot.made_at - now > AHEAD


def ahead(snapshots: Iterable[SnapshotId], now: datetime) -> tuple[SnapshotId, ...]:
    """Return those that claim a time that is yet to come."""
    return tuple(snapshot for snapshot in snapshots if is_ahead(snapshot, now))


def newest(snapshots: Iterable[SnapshotId], now: datetime) -> SnapshotId | None:
    """Return the newest that the clock allows; the newest of all if it allows none; None if there is none."""
    snapshots = tuple(snapshots)
    possible = [snapshot for snapshot in snapshots if not is_ahead(snapshot, now)]
    return max(possible or snapshots, default=None)


def key_clock_warning(now: datetime) -> str:
    """Return what to report where the signing key was made in the future, by this machine's clock."""
    return (
        f"the clock of this machine ({now:%Y-%m-%d %H:%M} UTC) is wrong: it is before the moment when the repository's "
        "signing key was made; signatures are checked all the same; set the clock (timedatectl)"
    )


def clock_warning(snapshots: Sequence[SnapshotId], now: datetime) -> str | None:
    """Return what to tell whoever takes the newest of these, None if the clock gives no reason to tell anything."""
    future = ahead(snapshots, now)
    if not future:
        return None
    if len(future) == len(snapshots):
        return (
            f"every snapshot is in the future, the newest is of {max(future).made_at:%Y-%m-%d %H:%M} UTC: the clock "
            f"of this machine is wrong ({now:%Y-%m-%d %H:%M} UTC); using the newest"
        )
    which = f"snapshot {future[0]} claims"
    if len(future) > 1:
        which = f"{len(future)} snapshots, such as {future[-1]}, claim"
    return (
        f"{which} a time in the future: a clock was wrong then, so latest ignores it; permafrost snapshots remove ID "
        "removes it, and restore accepts its id"
    )
