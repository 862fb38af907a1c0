"""Where a run's time goes: seconds of each kind of work, added up over parallel workers.

So they may add up to more than the run took. What one kind of work waits for inside another counts for the inner one
alone, as long as both are in the same thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock, local
from typing import Literal, TypeVar

from permafrost.events import Event, Reporter, StepStarted

T = TypeVar("T")
Work = Literal["connect", "scan", "compare", "fetch", "dump", "frame", "compress", "seal", "publish", "summarize"]


class WorkTimes:
    """Adds up seconds of wall time by kind of work, from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: dict[Work, float] = defaultdict(float)
        self._lock = Lock()
        self._inside = local()

    @contextmanager
    def of(self, work: Work) -> Iterator[None]:
        """Count the block, less what is counted inside it in the same thread, as this kind of work."""
        outer: float = getattr(self._inside, "seconds", 0.0)
        self._inside.seconds = 0.0
        began = self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            self._add(work, took - self._inside.seconds)
            self._inside.seconds = outer + took

    def waiting_for(self, work: Work, pieces: Iterable[T]) -> Iterator[T]:
        """Yield the pieces, and count the time that each took to come."""
        iterator = iter(pieces)
        while True:
            with self.of(work):
                piece = next(iterator, None)
            if piece is None:
                return
            yield piece

    @contextmanager
    def around(self, work: Work, pieces: Iterable[T]) -> Iterator[Iterator[T]]:
        """Yield the pieces; of the block's time, count what is not spent in waiting for a piece, in whatever thread."""
        waited = 0.0

        def metered() -> Iterator[T]:
            nonlocal waited
            iterator = iter(pieces)
            while True:
                began = self._clock()
                piece = next(iterator, None)
                waited += self._clock() - began
                if piece is None:
                    return
                yield piece

        began = self._clock()
        try:
            yield metered()
        finally:
            self._add(work, self._clock() - began - waited)

    def _add(self, work: Work, seconds: float) -> None:
        with self._lock:
            self._seconds[work] += seconds

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every kind of work that was done, in milliseconds' precision, most first."""
        with self._lock:
            found = sorted(self._seconds.items(), key=lambda one: -one[1])
        return {work: round(seconds, 3) for work, seconds in found}


class StepTimes:
    """A `Reporter` that passes every event on, and keeps how long each step took."""

    def __init__(self, report: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._begun: list[tuple[str, float]] = []

    def __call__(self, event: Event) -> None:
        """Pass the event on; a new step ends the one before."""
        if isinstance(event, StepStarted):
            self._begun.append((event.title, self._clock()))
        self._report(event)

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each step by its title, in their order; the last one lasts until now."""
        ends = [*(began for _, began in self._begun[1:]), self._clock()]
        return {title: round(end - began, 3) for (title, began), end in zip(self._begun, ends, strict=False)}
