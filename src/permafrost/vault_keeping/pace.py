"""How often a kind of work is due, and how long it may take of a turn."""

from __future__ import annotations

import time
from datetime import datetime, timedelta


class Pace:
    """Due once in `every`, by whichever clock is ahead: the machine's running time, or the vault's own time."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self._next_s = 0.0
        self._next_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Return whether it is time, at `now` by the vault's own clock."""
        return self._next_at is None or time.monotonic() >= self._next_s or now >= self._next_at

    def done(self, now: datetime, at_least: timedelta = timedelta(0)) -> None:
        """Let the next time come after the whole interval, or after `at_least` if that is longer."""
        every = max(self._every, at_least)
        self._next_s = time.monotonic() + every.total_seconds()
        self._next_at = now + every
