"""Renders what commands cost as a repository and its records grow."""

from __future__ import annotations

from collections.abc import Iterator

from bench.growth_results import Grown
from bench.results import Growth
from bench.tables import markdown
from bench.texts import data_text, facts_text
from permafrost.amounts import bytes_text

GROWTH = ("command", "snapshots", "objects", "runs", "time", "CPU", "memory", "CPU for each snapshot more")

_TEXT = """\
What commands cost as there is more of what the years leave: snapshots that are kept, their objects, and runs in the
records. One real snapshot of a small database is there, and thousands that are made up beside it, with real lists and
signatures, and objects whose bytes are what their names say; each snapshot adds 100 objects, and 33 runs to the
records. That is far more than retention keeps: a server that backs up every minute and keeps 24 hours, 7 days, 4 weeks
and 6 months of it has some 1,500. Memory is the peak of all programs together. CPU for each snapshot more is the
difference to the size before: where it stays the same from size to size, the cost grows no faster than what there is.
A vault looks every two seconds; its look is the mean of 20, in its own process, after it has come to rest. Where more
runs on the machine than this, time says little, and CPU more."""


def growth_parts(measured: Growth) -> list[str]:
    """Return the paragraphs and the table."""
    return [
        "## As the years go by",
        _TEXT,
        facts_text(measured.facts),
        data_text(measured.data),
        markdown(GROWTH, growth_rows(measured)),
    ]


def growth_rows(measured: Growth) -> list[tuple[str, ...]]:
    """Return a row for each command and size, command by command."""
    return [
        (
            run.command if before is None else "",
            f"{run.size.snapshots:,}",
            f"{run.size.objects:,}",
            f"{run.size.runs:,}",
            _seconds(run.wall_s),
            _seconds(run.cpu_s),
            bytes_text(run.peak_bytes) if run.peak_bytes else "",
            _each(run, before),
        )
        for run, before in _with_the_one_before(measured)
    ]


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value:.3f} s"


def _each(run: Grown, before: Grown | None) -> str:
    if before is None:
        return ""
    more = run.size.snapshots - before.size.snapshots
    return f"{1000 * (run.cpu_s - before.cpu_s) / more:.2f} ms"


def _with_the_one_before(measured: Growth) -> Iterator[tuple[Grown, Grown | None]]:
    """Yield each run, by command and then by size, with that of the same command at the size before."""
    for command in dict.fromkeys(run.command for run in measured.runs):
        before: Grown | None = None
        for run in measured.runs:
            if run.command == command:
                yield run, before
                before = run
