"""restic and borg in the simulated week. They make only those backups that they would still have at its end.

All others they would have removed by then, each with its cost, and without a trace in what is stored at the end.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from bench.hours import Say
from bench.measuring import files_below
from bench.programs import pipe
from bench.results import SystemRuns
from bench.week_results import SystemWeek, WeekRun
from permafrost.amounts import bytes_text
from permafrost.config.models import Retention


class KeepingSystem(Protocol):
    """A system with a clock that can be set, and a retention of its own."""

    stored: Path

    @property
    def name(self) -> str:
        """What it is called in the tables."""

    @property
    def plain_dump(self) -> tuple[str, ...]:
        """The program that gives the dump."""

    def backup_at(self, moment: datetime, dump: Sequence[str] = ()) -> None:
        """Make a backup, as if it were that moment; `dump` gives the dump if it is made elsewhere."""

    def keep(self, hourly: int, daily: int) -> None:
        """Keep so many backups, and remove what no other needs."""

    def count(self) -> int:
        """Return how many backups there are."""


def timed(stored: Path, hour: int, work: Callable[[], object]) -> WeekRun:
    """Do the work of this hour, and return its time and what it left in the folder.

    What others have left to the disk is written first, or the work would wait for it.
    """
    os.sync()
    before = files_below(stored)
    began = time.monotonic()
    work()
    wall_s = time.monotonic() - began
    after = files_below(stored)
    return WeekRun(
        hour=hour,
        sent_bytes=sum(known[0] for place, known in after.items() if before.get(place) != known),
        stored_bytes=sum(size for size, _ in after.values()),
        files=len(after),
        wall_s=wall_s,
    )


class OtherWeeks:
    """The week of each of several systems."""

    def __init__(self, systems: Sequence[KeepingSystem], retention: Retention) -> None:
        self._systems = systems
        self._retention = retention
        self._runs: dict[str, list[WeekRun]] = {system.name: [] for system in systems}

    def back_up(self, hour: int, moment: datetime, *, is_alone: bool) -> None:
        """Let all make a backup: each by itself, one after the other, or all at once of one dump, which is quicker."""
        for system, run in zip(self._systems, (self._each if is_alone else self._at_once)(hour, moment), strict=True):
            self._runs[system.name].append(run)

    def _each(self, hour: int, moment: datetime) -> list[WeekRun]:
        return [timed(one.stored, hour, partial(one.backup_at, moment)) for one in self._systems]

    def _at_once(self, hour: int, moment: datetime) -> list[WeekRun]:
        with TemporaryDirectory() as folder, ThreadPoolExecutor(len(self._systems)) as workers:
            fifos = [Path(folder, system.name) for system in self._systems]
            for fifo in fifos:
                os.mkfifo(fifo)
            under_way = [
                workers.submit(timed, one.stored, hour, partial(one.backup_at, moment, dump=("cat", str(fifo))))
                for one, fifo in zip(self._systems, fifos, strict=True)
            ]
            pipe(self._systems[0].plain_dump, ("tee", *map(str, fifos)))
            return [replace(one.result(), wall_s=None) for one in under_way]

    def ended(self, before: Sequence[SystemRuns], say: Say) -> tuple[SystemWeek, ...]:
        """Let each remove what it does not keep, and return its week; `before` is what was measured before it."""
        known = {one.name: one for one in before}
        return tuple(self._ended(system, known[system.name], say) for system in self._systems)

    def _ended(self, system: KeepingSystem, before: SystemRuns, say: Say) -> SystemWeek:
        runs = self._runs[system.name]
        rules = self._retention
        removed = timed(system.stored, runs[-1].hour, lambda: system.keep(rules.hourly, rules.daily))
        kept = system.count()
        say(f"{system.name} keeps {kept} backups: {bytes_text(removed.stored_bytes)} in {removed.files} files")
        return SystemWeek(
            name=system.name,
            runs=tuple(runs),
            kept=kept,
            stored_bytes=removed.stored_bytes,
            files=removed.files,
            sent_first_bytes=round(statistics.median(one.sent_bytes for one in before.hours)),
            wall_first_s=statistics.median(one.wall_s for one in before.hours),
            wall_last_s=runs[-1].wall_s or 0.0,
            prune_s=removed.wall_s or 0.0,
        )
