"""Where the log engine's time goes, by kind of work: the section of docs/benchmarks.md and what its plot shows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from bench.results import LogRuns, Run
from bench.tables import markdown
from permafrost.timing import Work

WORK_PLOT = "work.svg"

_KINDS: tuple[str, ...] = get_args(Work)
_TEXT = """\
The same runs of the log engine, and what `permafrost backup --json` reports about them (`work_s`): seconds by kind of
work. Workers run in parallel, and their work is added up, so the sum may exceed the duration. What is in none of the
kinds is mostly the start of Python and its libraries. For the hour and the unchanged run, each number is the median of
its own. In the plot, each run has a scale of its own.

`connect` lasts until there are sessions that see one moment; `scan` is asking PostgreSQL for the position and the
transaction of every row, `compare` finding out which are new and which are gone, `fetch` waiting for the new rows;
`frame` is everything in the database that is not rows, by pg_dump if it has changed; `compress` is zstd, `seal` waiting
for gpg and the disk, `publish` manifest, lists and signature."""


@dataclass(frozen=True, slots=True)
class WorkDone:
    """What a run took, and the seconds of each kind of work in it."""

    name: str
    wall_s: float
    work_s: Mapping[str, float]


def work_done(log: LogRuns) -> tuple[WorkDone, ...]:
    """Return the first run, the median hour and the median unchanged run; nothing if no run says what its work was."""
    done = (
        _median("first run", [log.first]),
        _median("an hour", [hour.run for hour in log.hours]),
        _median("unchanged", log.unchanged),
    )
    return done if kinds_of(done) else ()


def kinds_of(done: Sequence[WorkDone]) -> tuple[str, ...]:
    """Return the kinds of work that were done, always in the same order; those that are no longer known come last."""
    found = {kind for one in done for kind in one.work_s}
    return (*(kind for kind in _KINDS if kind in found), *sorted(found.difference(_KINDS)))


def work_headings(done: Sequence[WorkDone]) -> tuple[str, ...]:
    """Return the headings of the table."""
    return ("run", "wall", *kinds_of(done))


def work_rows(done: Sequence[WorkDone]) -> list[tuple[str, ...]]:
    """Return a row for each run."""
    kinds = kinds_of(done)
    return [(one.name, _told(one.wall_s), *(_told(one.work_s.get(kind, 0.0)) for kind in kinds)) for one in done]


def work_parts(log: LogRuns) -> list[str]:
    """Return the parts of the section, none if no run says what its work was."""
    done = work_done(log)
    if not done:
        return []
    return [
        "## Where the time goes",
        _TEXT,
        markdown(work_headings(done), work_rows(done)),
        f"![Seconds by kind of work](plots/{WORK_PLOT})",
    ]


def _median(name: str, runs: Sequence[Run]) -> WorkDone:
    """Return the median of each kind by itself; a run that has nothing of a kind has done 0 seconds of it."""
    kinds = {kind for run in runs for kind in run.work_s}
    work_s = {kind: statistics.median(run.work_s.get(kind, 0.0) for run in runs) for kind in kinds}
    return WorkDone(name, statistics.median(run.wall_s for run in runs), work_s)


def _told(seconds: float) -> str:
    return f"{seconds:.2f} s"
