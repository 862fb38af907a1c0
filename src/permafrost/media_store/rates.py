"""How fast a store is asked: so many requests, and so many bytes, a second, for all who fetch together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Rate:
    """At most `per_s` of something a second, and up to one second's worth at once. For several threads."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock() - 1.0

    def take(self, amount: float, stopped: threading.Event) -> None:
        """Return when the amount may be used, or at once when `stopped` is set."""
        wait_s = self.reserve(amount)
        if wait_s > 0:
            stopped.wait(wait_s)

    def reserve(self, amount: float) -> float:
        """Use the amount, and return how many seconds from now it may be used."""
        with self._lock:
            now = self._clock()
            begins = max(self._free_at, now - 1.0)
            self._free_at = begins + amount / self._per_s
            return max(0.0, self._free_at - now)
