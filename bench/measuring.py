"""Wall time and processor time of a piece of work, and the median of several."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a piece of work took; `cpu_s` is user and system time of the programs that it ran to their end."""

    wall_s: float
    cpu_s: float
    size_bytes: int


def measure(work: Callable[[], int]) -> Measurement:
    """Do the work, which returns a size in bytes, and return what it took.

    Processor time is that of child processes that have been waited for (getrusage(2), RUSAGE_CHILDREN), so a
    server that goes on running is not in it.
    """
    cpu_before = _cpu_of_children_s()
    began = time.monotonic()
    size_bytes = work()
    return Measurement(time.monotonic() - began, _cpu_of_children_s() - cpu_before, size_bytes)


def _cpu_of_children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def median(runs: Sequence[Measurement]) -> Measurement:
    """Return the median of each quantity by itself; raise `ValueError` if there are no runs."""
    if not runs:
        raise ValueError("no runs, no median")
    return Measurement(
        statistics.median(run.wall_s for run in runs),
        statistics.median(run.cpu_s for run in runs),
        round(statistics.median(run.size_bytes for run in runs)),
    )
