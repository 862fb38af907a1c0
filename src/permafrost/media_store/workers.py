"""Fetches several files at a time, beside whatever else is done: files are handed over, and answers collected later."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from permafrost.media_store.answers import Answer, Wanted
from permafrost.media_store.fetching import Fetching


class FetchWorkers:
    """At most `count` files are under way. To be closed, which cuts off what is under way."""

    def __init__(self, fetching: Fetching, count: int, stopped: threading.Event) -> None:
        self._fetching = fetching
        self._count = count
        self._stopped = stopped
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="media")
        self._under_way: dict[Future[Answer], Wanted] = {}

    def close(self) -> None:
        """End what is under way."""
        self._stopped.set()
        self._fetching.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._under_way.clear()

    @property
    def free(self) -> int:
        """How many more files may be handed over now."""
        return self._count - len(self._under_way)

    @property
    def paths(self) -> frozenset[str]:
        """What is under way."""
        return frozenset(wanted.path for wanted in self._under_way.values())

    def hand_over(self, wanted: Wanted, *, is_kept: bool = True) -> None:
        """Have a file fetched."""
        self._under_way[self._threads.submit(self._fetching.fetch, wanted, is_kept=is_kept)] = wanted

    def collect(self, timeout_s: float) -> Iterator[Answer]:
        """Yield what has come of files by now, having waited for the first one for at most that time.

        Raise what a fetch raises: `OSError` or `SpaceError` if the disk does not take a file.
        """
        if not self._under_way:
            return
        done, _ = wait(self._under_way, timeout=max(0.0, timeout_s), return_when=FIRST_COMPLETED)
        for future in done:
            del self._under_way[future]
        for future in done:
            yield future.result()
