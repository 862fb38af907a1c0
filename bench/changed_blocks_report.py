"""Renders what backups cost on a server that summarizes its WAL, and judges it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.judgement import Figure
from bench.results import ChangedBlocks, ScanRun, ScanRuns
from bench.tables import markdown
from bench.texts import facts_text
from permafrost.amounts import bytes_text

CHANGED = ("database", "changed_blocks", "hour", "unchanged", "CPU", "server CPU", "pages scanned")
CHANGED_JUDGED = ("promised", "at most", "median", "worst", "kept")

_TEXT = """\
From PostgreSQL 17 on, a server with `summarize_wal = on` can say which blocks have changed, and a run then scans only
those (`[database] changed_blocks`, [engine.md](engine.md)). `scripts/with_postgresql 17` was put before the command. At
each size, two repositories back up the same server: one with `auto`, one with `off`. After each hour of churn both make
a backup, then another one with nothing changed. Times are medians of complete runs of `permafrost backup`; CPU, and the
server's, with its checkpoint and its summarizer, are those of an hour. Where the load average is above the number of
processors, times say little: only CPU, and the ratios of one run, can be compared with other machines."""

_HOUR, _UNCHANGED_S, _SERVER_S = 1.35, 0.6, 0.15
_LIMITS = (
    "a segment with one changed page is decoded, compared and packed whole, and the same changes lie in more segments",
    "the start of Python, gpg and the sessions takes 0.6 s of CPU, whatever the size; on a busy machine it waits",
    "a third is what an unchanged run takes, a quarter the scan of changed pages; the rest COPY, checkpoint, summaries",
)
"""What stops each promise, in their order, where it is not kept."""


def changed_parts(measured: ChangedBlocks) -> list[str]:
    """Return the paragraphs and tables."""
    return [
        "## Only what has changed",
        _TEXT,
        facts_text(measured.facts),
        markdown(CHANGED, changed_rows(measured)),
        markdown(CHANGED_JUDGED, changed_judged(measured)),
        *(("What falls short, and why:", "\n".join(missed)) if (missed := _missed(measured)) else ()),
    ]


def _missed(measured: ChangedBlocks) -> list[str]:
    judged = zip(changed_figures(measured), _LIMITS, strict=True)
    return [f"- **{figure.name}**: {limit}." for figure, limit in judged if figure.verdict != "yes"]


def changed_rows(measured: ChangedBlocks) -> list[tuple[str, ...]]:
    """Return a row for each size and setting."""
    return [
        (
            bytes_text(one.data.database_bytes),
            one.setting,
            _median(one.hours, lambda run: run.wall_s),
            _median(one.unchanged, lambda run: run.wall_s),
            _median(one.hours, lambda run: run.cpu_s),
            _median(one.hours, lambda run: run.server_cpu_s),
            f"{statistics.median(run.scanned_pages for run in one.hours):,.0f} of {one.hours[-1].total_pages:,}",
        )
        for one in measured.runs
    ]


def changed_figures(measured: ChangedBlocks) -> tuple[Figure, ...]:
    """Return what was promised of runs that scan only changed blocks, with what was measured."""
    ways = sorted((one for one in measured.runs if one.setting == "auto"), key=_size)
    smallest, largest = ways[0], ways[-1]
    of_smallest = statistics.median(run.wall_s for run in smallest.hours)
    ratios = tuple(run.wall_s / of_smallest for run in largest.hours)
    small, large = (bytes_text(_size(one)) for one in (smallest, largest))
    unchanged = tuple(run.wall_s for one in ways for run in one.unchanged)
    server = tuple(run.server_cpu_s for one in ways for run in one.hours)
    return (
        Figure(f"an hour at {large} / at {small}, time", _HOUR, ratios, lambda value: f"{value:.2f}"),
        Figure("an unchanged run, time", _UNCHANGED_S, unchanged, _seconds),
        Figure("server CPU of an hour's run", _SERVER_S, server, _seconds),
    )


def changed_judged(measured: ChangedBlocks) -> list[tuple[str, ...]]:
    """Return a row for each promise."""
    return [
        (one.name, one.text(one.target), one.text(one.median), one.text(one.worst), one.verdict)
        for one in changed_figures(measured)
    ]


def _size(runs: ScanRuns) -> int:
    return runs.data.database_bytes


def _median(runs: Sequence[ScanRun], value: Callable[[ScanRun], float]) -> str:
    return _seconds(statistics.median(value(run) for run in runs))


def _seconds(value: float) -> str:
    return f"{value:.2f} s"
