"""Renders who takes which second of a first backup and of a restore, next to what neither can do without."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from bench.limits_results import Attributed, Part, StepTaken, Way
from bench.results import Limits
from bench.tables import markdown
from bench.texts import data_text, facts_text

LIMITS = ("work", "time", "CPU of all", "server", "permafrost", "gpg", "others")
STEPS = ("step of the restore", "time", "CPU of permafrost", "CPU of the server")
_OWN, _GPG = "python", "gpg"
_SHORT_S = 0.05

_TEXT = """\
What a first backup and a restore take on both processors, next to what neither can do without: reading all rows, which
`pg_dump` to nowhere shows, and compressing them, by zstd -3 of the same bytes; loading the rows and building the
indexes, by `pg_restore` of the sections alone, with two jobs. All take turns, in several rounds, and the numbers are
medians. CPU is user and system time, by program: that of `permafrost` is its own process, with zstd in it; the server's
is that of all processes of both servers. Where more runs on the machine than these, times say little, and CPU more."""

_REST = """\
What a first backup takes besides: a scan of every row's position (a quarter of the server's time), taking each row from
its message (psql, which is written in C, takes as long), the start of Python, hashes, and writing each object, reading
it back and comparing it. gpg takes 3%; fewer runs of it would save nothing that can be measured. A restore also checks
all hashes, collects statistics and counts all rows, and saves as much by building indexes with more memory and checking
keys after statistics. PostgreSQL 18's statistics in dumps are not used instead of ANALYZE: they would have to be read
and stored again with each snapshot, and hold values of rows."""


def limits_parts(measured: Limits) -> list[str]:
    """Return the paragraphs and tables."""
    return [
        "## What a first backup and a restore cannot do without",
        _TEXT,
        facts_text(measured.facts),
        data_text(measured.data),
        markdown(LIMITS, limit_rows(measured)),
        "The restore by its steps; those of less than 0.05 s are left out.",
        markdown(STEPS, step_rows(measured)),
        "\n".join(_ratios(measured)),
        _REST,
    ]


def limit_rows(measured: Limits) -> list[tuple[str, ...]]:
    """Return a row for each way, in order."""
    return [
        (
            way.name,
            _median(way.runs, lambda run: run.wall_s),
            _median(way.runs, lambda run: run.all_cpu_s),
            _median(way.runs, lambda run: run.server_cpu_s),
            _median(way.runs, lambda run: run.cpu_s.get(_OWN, 0.0)),
            _median(way.runs, lambda run: run.cpu_s.get(_GPG, 0.0)),
            _median(way.runs, _others),
        )
        for way in measured.ways
    ]


def step_rows(measured: Limits) -> list[tuple[str, ...]]:
    """Return a row for each step of a restore that took some time."""
    by_title: dict[str, list[StepTaken]] = {}
    for step in (step for steps in measured.steps for step in steps):
        by_title.setdefault(step.title, []).append(step)
    return [
        (
            title.partition(":")[0].partition(" restored_")[0],
            _seconds(step.wall_s for step in taken),
            _seconds(step.cpu_s for step in taken),
            _seconds(step.server_cpu_s for step in taken),
        )
        for title, taken in by_title.items()
        if statistics.median(step.wall_s for step in taken) >= _SHORT_S
    ]


def _ratios(measured: Limits) -> list[str]:
    """Return how much of its processor time each of ours takes for what it cannot do without."""
    lines = []
    parts: tuple[tuple[Part, str], ...] = (("backup", "first backup"), ("restore", "restore"))
    for part, name in parts:
        ways = [way for way in measured.ways if way.part == part]
        limits = [way for way in ways if way.is_limit]
        needed = sum(_cpu_s(way) for way in limits)
        named = " and ".join(f"`{way.name}`" for way in limits)
        lines.append(f"- **{name}**: {needed / _cpu_s(ways[0]):.0%} of its CPU time is what {named} take alone.")
    return lines


def _cpu_s(way: Way) -> float:
    return statistics.median(run.all_cpu_s for run in way.runs)


def _others(run: Attributed) -> float:
    return sum(seconds for name, seconds in run.cpu_s.items() if name not in (_OWN, _GPG))


def _median(runs: Sequence[Attributed], value: Callable[[Attributed], float]) -> str:
    return _seconds(value(run) for run in runs)


def _seconds(values: Iterable[float]) -> str:
    return f"{statistics.median(values):.2f} s"
