"""Where in the WAL everything begins that the state may not have seen, from what earlier runs have noted.

What the next snapshot sees and the last one did not was done by transactions numbered `lowest_running` or higher. A
position whose `next_xid` is no higher lies before all that they have written (postgres/wal_position.py). The latest of
these is kept for as long as it takes, since a transaction may stay open for days. Any choice of positions is right:
with fewer of them a run starts further back, and scans more.

If all numbers given since then are those of the marks that runs leave in the server's history, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from permafrost.postgres.history_mark import Mark
from permafrost.postgres.wal_position import WalPosition
from permafrost.segments.state import SegmentState

_FACT = "scan start"
_KEPT_POSITIONS = 64
_SEVERAL_POSITIONS = 8  # of four runs or more
_KEPT_NUMBERS = 4000
CHECK_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ScanStart:
    """What runs have noted for the next one; `lowest_running` is None if the next run cannot rely on any of it."""

    lowest_running: int | None = None
    """Of the snapshot that the state is of: all transactions below had ended."""
    positions: tuple[WalPosition, ...] = ()
    own_numbers: tuple[int, ...] = ()
    """Transaction numbers of the marks that runs have left since that snapshot."""
    scanned_all_at: str = ""
    """When every row was scanned last, in ISO format."""
    said: str = ""
    """What the admin was last told about how rows are scanned."""
    distrust: str = ""
    """Why positions are not to be relied on any more: a scan of everything has found what they had overlooked."""

    def lsn(self) -> int | None:
        """Return the latest WAL position at or after which everything new was written; None if none is known."""
        if self.lowest_running is None:
            return None
        return max(
            (position.lsn for position in self.positions if position.next_xid <= self.lowest_running), default=None
        )

    @property
    def is_held_back(self) -> bool:
        """Whether a transaction has been open for several runs, so that the next one starts where it began."""
        return len(self.positions) > _SEVERAL_POSITIONS

    def is_idle_until(self, next_xid: int) -> bool:
        """Return whether no transaction below `next_xid` can have changed a row since."""
        if self.lowest_running is None or next_xid - self.lowest_running > len(self.own_numbers):
            return False
        return set(range(self.lowest_running, next_xid)) <= set(self.own_numbers)

    def is_check_due(self, now: datetime) -> bool:
        """Return whether every row has to be scanned again, to check the rule."""
        if not self.scanned_all_at:
            return True
        return not timedelta(0) <= now - datetime.fromisoformat(self.scanned_all_at) < CHECK_EVERY

    def after_run(self, lowest_running: int, positions: Sequence[WalPosition], mark: Mark | None) -> ScanStart:
        """Return what is to be noted once a run's rows are stored; `positions` were read before its snapshot."""
        if mark is None or not positions:  # nothing proves that the next run is in the same history
            return replace(self, lowest_running=None, positions=(), own_numbers=())
        kept = _worth_keeping((*self.positions, *positions), lowest_running)
        return replace(self, lowest_running=lowest_running, positions=kept, own_numbers=_numbers(mark))

    def after_idle_run(self, mark: Mark | None) -> ScanStart:
        """Return the same after a run that found that nothing had happened: the state stays of its old snapshot.

        What happens without a transaction number, such as repairs with pg_surgery, is thus still found later.
        """
        if mark is None:
            return self.after_run(0, (), None)
        own = (*self.own_numbers, *_numbers(mark))
        return replace(self, own_numbers=own if len(own) <= _KEPT_NUMBERS else ())


def _worth_keeping(positions: Sequence[WalPosition], lowest_running: int) -> tuple[WalPosition, ...]:
    """Return, oldest first, those that a run may start at: the lowest running number only ever rises.

    Of positions that serve the same numbers the latest counts, and of those that serve the present lowest running
    number one is enough. While a transaction is open, each run adds one that will count once it has ended: if these
    become too many, every other one of the older half goes.
    """
    kept: list[WalPosition] = []
    for position in sorted(positions, key=lambda position: position.lsn, reverse=True):
        if not kept or position.next_xid < kept[-1].next_xid:
            kept.append(position)
        if position.next_xid <= lowest_running:
            break
    kept.reverse()
    if len(kept) > _KEPT_POSITIONS:
        kept = [*kept[: _KEPT_POSITIONS // 2 : 2], *kept[_KEPT_POSITIONS // 2 :]]
    return tuple(kept)


def _numbers(mark: Mark) -> tuple[int, ...]:
    return (*mark["committed"], *mark["aborted"])


def read_start(state: SegmentState) -> ScanStart:
    """Return what the state has noted; nothing, if another version of permafrost wrote it."""
    fact = state.fact(_FACT)
    try:
        return ScanStart(
            lowest_running=fact["lowest_running"],
            positions=tuple(WalPosition(**position) for position in fact["positions"]),
            own_numbers=tuple(fact["own_numbers"]),
            scanned_all_at=fact["scanned_all_at"],
            said=fact["said"],
            distrust=fact["distrust"],
        )
    except (TypeError, KeyError):
        return ScanStart()


def note_start(state: SegmentState, start: ScanStart) -> None:
    """Note it for the next run."""
    numbers = start.own_numbers  # thousands, after as many runs that found nothing: asdict would copy each
    fact = asdict(replace(start, own_numbers=()))
    state.set_fact(_FACT, {**fact, "own_numbers": numbers})
