"""Renders what backups cost on a server that summarizes its WAL, and judges it. What was not measured is left out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.changed_sizes import facts_of, major_of, measured_together, with_one_major
from bench.judgement import PEAK_BYTES, Figure, ratio_text
from bench.results import ChangedBlocks, ScanRun, ScanRuns
from bench.tables import markdown, with_values
from bench.texts import facts_text
from permafrost.amounts import bytes_text

CHANGED = (
    *("database", "PostgreSQL", "changed_blocks", "first run", "hour", "unchanged", "CPU", "server CPU"),
    *("pages scanned", "peak memory", "published set-up", "restore"),
)
CHANGED_JUDGED = ("promised", "at most", "median", "worst", "kept")
TIME_PLOT, CPU_PLOT = "scan-time-by-size.svg", "scan-server-cpu-by-size.svg"

_TEXT = """\
From PostgreSQL 17 on, a server with `summarize_wal = on` can say which blocks have changed, and a run then scans only
those (`[database] changed_blocks`, [engine.md](engine.md)). `scripts/with_postgresql 17` was put before the command. At
each size, two repositories back up the same server: one with `auto`, one with `off`. After each hour of churn both make
a backup, then another one with nothing changed. Times are medians of complete runs of `permafrost backup`; CPU, and the
server's, with its checkpoint and its summarizer, are those of an hour. Where the load average is above the number of
processors, times say little: only CPU, and the ratios of one run, can be compared with other machines."""

_MORE = """\
The first run and the published set-up are one run each on the database as it was made. Peak memory is the most of all
runs and of the restore, in permafrost's own process. The restore is that of the newest snapshot, at the largest size,
to another server; the count and digest of every table's rows were compared, and are equal."""

_HOUR, _UNCHANGED_S, _SERVER_S = 1.35, 0.6, 0.15
_OF_PUBLISHED, _FIRST_OF_PUBLISHED = 1 / 80, 0.24
_LARGE_BYTES = 8_000_000_000
"""What is promised of a large database is promised of about 5 GB: larger ones are not what it is judged by."""
_AT_LEAST_BYTES = 4_000_000_000
_LIMITS = {
    "an hour at": "the same changes lie in more segments, and each of them is asked for by two statements, and is read "
    "and written in part",
    "an hourly run at": "what an unchanged run takes, which scans nothing, is most of it",
    "an unchanged run": "it scans nothing, at any size: the start of Python, gpg and the sessions is nearly all of it",
    "server CPU": "an unchanged run, which connects and looks, takes a small part of it; the rest is the checkpoint, "
    "the scan of changed pages, COPY and the summaries",
    "first run": "reading every row from PostgreSQL, zstd -3 and gpg keep both processors busy nearly all the time; "
    "gzip, which the published set-up waits for, uses one; with a small database, the start of Python, gpg and the "
    "sessions is a large part",
}
"""What stops each promise, by how its name begins, where it is not kept."""


def changed_parts(measured: ChangedBlocks) -> list[str]:
    """Return the paragraphs, tables and plots."""
    has_more = any(one.first for one in measured.runs)
    return [
        "## Only what has changed",
        _TEXT,
        *((_MORE,) if has_more else ()),
        *_facts(measured),
        markdown(*changed_table(measured)),
        markdown(CHANGED_JUDGED, changed_judged(measured)),
        *(("What falls short, and why:", "\n".join(missed)) if (missed := _missed(measured)) else ()),
        *_plots(measured),
    ]


def changed_table(measured: ChangedBlocks) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Return the headings and a row for each size and setting; a column in which nothing was measured is left out."""
    return with_values(CHANGED, [_row(one, measured) for one in measured.runs])


def is_drawn(measured: ChangedBlocks) -> bool:
    """Return whether there are several sizes of one version to be drawn."""
    return len({_size(one) for one in with_one_major(measured)}) > 1


def changed_figures(measured: ChangedBlocks) -> tuple[Figure, ...]:
    """Return what was promised of runs that scan only changed blocks, with what was measured."""
    runs = with_one_major(measured)
    ways = [one for one in runs if one.setting == "auto"]
    smallest = ways[0]
    largest = next((one for one in reversed(ways) if _size(one) <= _LARGE_BYTES), ways[-1])
    of_smallest = statistics.median(run.wall_s for run in smallest.hours)
    ratios = tuple(run.wall_s / of_smallest for run in largest.hours)
    small, large = (bytes_text(_size(one)) for one in (smallest, largest))
    unchanged = tuple(run.wall_s for one in ways for run in one.unchanged)
    server = tuple(run.server_cpu_s for one in ways for run in one.hours)
    return (
        Figure(f"an hour at {large} / at {small}, time", _HOUR, ratios, lambda value: f"{value:.2f}"),
        Figure("an unchanged run, time", _UNCHANGED_S, unchanged, _seconds),
        Figure("server CPU of an hour's run", _SERVER_S, server, _seconds),
        *_against_published(ways, largest),
        *_memory(runs),
    )


def changed_judged(measured: ChangedBlocks) -> list[tuple[str, ...]]:
    """Return a row for each promise."""
    return [
        (one.name, one.text(one.target), one.text(one.median), one.text(one.worst), one.verdict)
        for one in changed_figures(measured)
    ]


def _against_published(ways: Sequence[ScanRuns], largest: ScanRuns) -> list[Figure]:
    found = []
    if (published := largest.published) and _size(largest) >= _AT_LEAST_BYTES:
        ratios = tuple(run.wall_s / published.wall_s for run in largest.hours)
        name = f"an hourly run at {bytes_text(_size(largest))} / published set-up, time"
        found.append(Figure(name, _OF_PUBLISHED, ratios, ratio_text))
    for one in ways:
        if one.first and one.published:
            ratio = one.first.wall_s / one.published.wall_s
            name = f"first run at {bytes_text(_size(one))} / published set-up, time"
            found.append(Figure(name, _FIRST_OF_PUBLISHED, (ratio,), ratio_text))
    return found


def _memory(runs: Sequence[ScanRuns]) -> list[Figure]:
    peaks = tuple(run.peak_bytes for one in runs for run in _all(one) if run.peak_bytes)
    restored = tuple(one.restored.peak_bytes for one in runs if one.restored)
    titles = ("peak memory of its process", "restore, peak memory of its process")
    return [
        Figure(title, PEAK_BYTES, values, lambda value: bytes_text(round(value)))
        for title, values in zip(titles, (peaks, restored), strict=True)
        if values
    ]


def _missed(measured: ChangedBlocks) -> list[str]:
    missed = [figure.name for figure in changed_figures(measured) if figure.verdict != "yes"]
    return [f"- **{name}**: {_limit(name)}." for name in missed]


def _limit(name: str) -> str:
    return next((limit for begin, limit in _LIMITS.items() if name.startswith(begin)), "no reason is known yet")


def _facts(measured: ChangedBlocks) -> list[str]:
    """Return with what and when it was measured, for each time by itself."""
    groups = measured_together(measured)
    if not groups[1:]:
        return [facts_text(facts_of(measured.runs[0], measured))]
    found = []
    for group in groups:
        sizes = ", ".join(dict.fromkeys(bytes_text(_size(one)) for one in group))
        found += [f"{sizes}, PostgreSQL {major_of(group[0])}:", facts_text(facts_of(group[0], measured))]
    return found


def _plots(measured: ChangedBlocks) -> tuple[str, ...]:
    if not is_drawn(measured):
        return ()
    return (f"![Time by size and setting](plots/{TIME_PLOT})", f"![Server CPU by size and setting](plots/{CPU_PLOT})")


def _row(one: ScanRuns, measured: ChangedBlocks) -> tuple[str, ...]:
    version = facts_of(one, measured).versions.get("PostgreSQL", "")
    peaks = [run.peak_bytes for run in _all(one)] + ([one.restored.peak_bytes] if one.restored else [])
    return (
        bytes_text(_size(one)),
        version,
        one.setting,
        f"{one.first.wall_s:.1f} s" if one.first else "",
        _median(one.hours, lambda run: run.wall_s),
        _median(one.unchanged, lambda run: run.wall_s),
        _median(one.hours, lambda run: run.cpu_s),
        _median(one.hours, lambda run: run.server_cpu_s),
        f"{statistics.median(run.scanned_pages for run in one.hours):,.0f} of {one.hours[-1].total_pages:,}",
        bytes_text(max(peaks)) if any(peaks) else "",
        f"{one.published.wall_s:.1f} s" if one.published else "",
        f"{one.restored.wall_s:.1f} s" if one.restored else "",
    )


def _all(one: ScanRuns) -> tuple[ScanRun, ...]:
    return (*((one.first,) if one.first else ()), *one.hours, *one.unchanged)


def _size(runs: ScanRuns) -> int:
    return runs.data.database_bytes


def _median(runs: Sequence[ScanRun], value: Callable[[ScanRun], float]) -> str:
    return _seconds(statistics.median(value(run) for run in runs))


def _seconds(value: float) -> str:
    return f"{value:.2f} s"
