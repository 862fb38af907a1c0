"""Which positions in the WAL the state keeps, against all that runs have noted; and that a run may start at them."""

from __future__ import annotations

import random

import pytest

from permafrost.postgres.history_mark import Mark
from permafrost.postgres.wal_position import WalPosition
from permafrost.segments import scan_start
from permafrost.segments.scan_start import ScanStart

MARK: Mark = {"committed": [1], "aborted": []}
RUNS = 400


class Numbers:
    """A server of which only the WAL's end and the transaction numbers are known."""

    def __init__(self, seed: int, *, longest: int) -> None:
        self._random = random.Random(seed)
        self._longest = longest
        self._running: dict[int, int] = {}
        self._checkpoint = WalPosition(1, 1)
        self._lsn = self.next_xid = 1

    def live(self) -> None:
        """Let transactions begin and end, and the server make a checkpoint now and then."""
        for _ in range(self._random.randrange(4)):
            self._running[self.next_xid] = self._random.choice((0, 1, self._longest))
            self.next_xid += 1
            self._lsn += 10
        if self._random.random() < 0.3:
            self._checkpoint = WalPosition(self._lsn, self.next_xid)
        self._running = {number: rounds - 1 for number, rounds in self._running.items() if rounds > 0}

    def positions(self) -> tuple[WalPosition, WalPosition]:
        """What a run reads at its start."""
        return WalPosition(self._lsn, self.next_xid), self._checkpoint

    @property
    def lowest_running(self) -> int:
        """The lowest number that has not ended."""
        return min(self._running, default=self.next_xid)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("longest", [3, 150])
def test_nothing_useful_is_dropped(seed: int, longest: int) -> None:
    """Each run starts where all noted positions would let it start, or, after very many runs, a little before that."""
    numbers, start = Numbers(seed, longest=longest), ScanStart()
    noted: list[WalPosition] = []
    for _ in range(RUNS):
        numbers.live()
        noted += numbers.positions()
        lowest = numbers.lowest_running
        start = start.after_run(lowest, numbers.positions(), MARK)
        best = max((position.lsn for position in noted if position.next_xid <= lowest), default=0)
        found = start.lsn() or 0
        assert bool(found) == bool(best)
        assert found == best if longest < scan_start._KEPT_POSITIONS / 2 else found <= best
        assert len(start.positions) <= scan_start._KEPT_POSITIONS


def test_a_transaction_open_for_thousands_of_runs() -> None:
    """However many runs end while a transaction is open, the next one starts where it began, and then at a late one."""
    start = ScanStart().after_run(100, [WalPosition(1000, 100)], MARK)
    for run in range(1, 5000):
        start = start.after_run(100, [WalPosition(1000 + 10 * run, 100 + run)], MARK)
    assert (start.lsn(), start.is_held_back) == (1000, True)
    ended = start.after_run(5099, [WalPosition(51000, 5100)], MARK)
    assert ended.lsn() == 50990
    assert not ended.is_held_back
