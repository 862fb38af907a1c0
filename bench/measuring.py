"""What a piece of work took: wall time, processor time on both sides, memory, and what it left in a folder."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.memory import PeakOfAll
from bench.server_cpu import cpu_of_server_s


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a piece of work took; `cpu_s` is user and system time of the programs that it ran to their end.

    `server_cpu_s` and `peak_bytes` are as in `Taken`, 0 where they were not looked at.
    """

    wall_s: float
    cpu_s: float
    size_bytes: int
    server_cpu_s: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What a backup or a restore took.

    `cpu_s` is that of the programs that were started, `server_cpu_s` that of the PostgreSQL server's processes.
    `peak_bytes` is the most memory of all programs together. `sent_bytes` appeared or changed in the folder that goes
    to the vaults, `files_new` appeared there; afterwards it held `stored_bytes` in `files` files.
    """

    wall_s: float
    cpu_s: float
    server_cpu_s: float
    peak_bytes: int
    sent_bytes: int = 0
    stored_bytes: int = 0
    files_new: int = 0
    files: int = 0


def measure(work: Callable[[], int]) -> Measurement:
    """Do the work, which returns a size in bytes, and return what it took.

    Processor time is that of child processes that have been waited for (getrusage(2), RUSAGE_CHILDREN), so a
    server that goes on running is not in it.
    """
    cpu_before = _cpu_of_children_s()
    began = time.monotonic()
    size_bytes = work()
    return Measurement(time.monotonic() - began, _cpu_of_children_s() - cpu_before, size_bytes)


def take(work: Callable[[], object], *, server_pid: Callable[[], int | None], stored: Path | None = None) -> Taken:
    """Do the work and return what it took; `server_pid` is asked before and after, None while there is no server.

    What others have left to the disk is written first, or the work would wait for it.
    """
    os.sync()
    before = files_below(stored) if stored else {}
    server_before = cpu_of_server_s(server_pid())
    memory = PeakOfAll(os.getpid())
    try:
        took = measure(lambda: _nothing(work()))
    finally:
        memory.stop()
    after = files_below(stored) if stored else {}
    return Taken(
        wall_s=took.wall_s,
        cpu_s=took.cpu_s,
        server_cpu_s=cpu_of_server_s(server_pid()) - server_before,
        peak_bytes=memory.peak_bytes,
        sent_bytes=sum(size for place, (size, _) in after.items() if before.get(place) != after[place]),
        stored_bytes=sum(size for size, _ in after.values()),
        files_new=len(after.keys() - before.keys()),
        files=len(after),
    )


def files_below(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of change of every file below."""
    sizes = {}
    for place in folder.rglob("*"):
        if place.is_file() and not place.is_symlink():
            known = place.stat()
            sizes[place] = (known.st_size, known.st_mtime_ns)
    return sizes


def _nothing(_: object) -> int:
    return 0


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
        statistics.median(run.server_cpu_s for run in runs),
        round(statistics.median(run.peak_bytes for run in runs)),
    )
