"""The plots of docs/benchmarks.md. Whoever imports this imports matplotlib, which takes half a second."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from bench.changed_blocks_report import CPU_PLOT, TIME_PLOT, is_drawn
from bench.changed_sizes import with_one_major
from bench.drawing import Bar, Line, bars_plot, line_plot, svg
from bench.measuring import median
from bench.report import sizes_of
from bench.results import SCAN_SETTINGS, ChangedBlocks, LogRuns, Minutes, Results, ScanRun, ScanRuns, Series
from bench.rows import median_hour
from bench.week_report import PLOT
from bench.week_results import Week
from bench.week_rules import file_stored, newest_hours
from bench.work_report import WORK_PLOT, WorkDone, kinds_of, work_done

_KINDS: Mapping[str, Callable[[ScanRuns], Sequence[ScanRun]]] = {
    "an hour": lambda one: one.hours,
    "unchanged": lambda one: one.unchanged,
}


def plots(results: Results) -> Mapping[str, str]:
    """Return the plots that can be drawn as SVG, by file name."""
    return {name: svg(picture) for name, picture in pictures(results).items()}


def pictures(results: Results) -> Mapping[str, Figure]:
    """Return the plots that can be drawn, by file name."""
    drawn: dict[str, Figure] = {}
    if sizes := sizes_of(results):
        over = ("size of the database, GB", [run.data.database_bytes / 1e9 for run in sizes.runs])
        drawn.update(_both("size", over, sizes))
    if results.churns:
        over = ("new row versions in an hour", [float(median_hour(run).rows) for run in results.churns.runs])
        drawn.update(_both("churn", over, results.churns))
    if results.minutes:
        drawn.update(_minutes(results.minutes))
    if results.changed_blocks and is_drawn(results.changed_blocks):
        drawn.update(_changed(results.changed_blocks))
    if results.one_size and results.one_size.week:
        drawn[PLOT] = _week(results.one_size.week)
    if results.one_size and (done := work_done(results.one_size.log)):
        drawn[WORK_PLOT] = _work(done)
    return drawn


def _work(done: Sequence[WorkDone]) -> Figure:
    bars = [Bar(one.name, one.work_s, one.wall_s) for one in done]
    return bars_plot("Seconds by kind of work, workers added up", "seconds", "wall", kinds_of(done), bars)


def _minutes(measured: Minutes) -> dict[str, Figure]:
    label, minutes = "run, one a minute", list(enumerate(measured.minutes, 1))

    def line(name: str, values: Sequence[tuple[int, float | None]]) -> Line:
        return Line(name, tuple((float(number), value) for number, value in values if value))

    lag = (
        line("the vault's receipt is there", [(number, one.receipt_s) for number, one in minutes]),
        line("the vault's Syncthing holds it", [(number, one.held_s) for number, one in minutes]),
        line("the run is over", [(number, one.run.wall_s) for number, one in minutes]),
    )
    share = (
        line("server, all together", [(number, one.server_share) for number, one in minutes]),
        line("vault, all together", [(number, one.vault_share) for number, one in minutes]),
    )
    return {
        "lag-by-minute.svg": line_plot("Time since a run began", label, "seconds", lag, x_is_linear=True),
        "share-by-minute.svg": line_plot("Share of one core", label, "share", share, x_is_linear=True),
    }


def _changed(measured: ChangedBlocks) -> dict[str, Figure]:
    """Return what a run takes by size, with both settings of `changed_blocks`."""
    runs, label = with_one_major(measured), "size of the database, GB"

    def lines(value: Callable[[ScanRun], float]) -> list[Line]:
        return [
            _scan_line(f"{setting}, {name}", [(one, kind(one)) for one in runs if one.setting == setting], value)
            for name, kind in _KINDS.items()
            for setting in SCAN_SETTINGS
        ]

    published = {one.data.database_bytes / 1e9: one.published.wall_s for one in runs if one.published}
    others = [Line("published set-up", tuple(published.items()))] if published else []
    time = [*lines(lambda run: run.wall_s), *others]
    server = lines(lambda run: run.server_cpu_s)
    return {
        TIME_PLOT: line_plot("Time of a run by size and changed_blocks", label, "seconds", time),
        CPU_PLOT: line_plot("Server CPU of a run by size and changed_blocks", label, "seconds", server),
    }


def _scan_line(
    name: str, runs: Sequence[tuple[ScanRuns, Sequence[ScanRun]]], value: Callable[[ScanRun], float]
) -> Line:
    medians = ((one.data.database_bytes / 1e9, statistics.median(map(value, taken))) for one, taken in runs)
    return Line(name, tuple(point for point in medians if point[1]))


def _week(week: Week) -> Figure:
    """Return the plot of what each system stored over the week; at its end, after the removal."""
    lines = [
        Line(one.name, (*((run.hour, run.stored_bytes) for run in one.runs[:-1]), (week.hours, one.stored_bytes)))
        for one in week.systems
    ]
    published = week.files[0]
    versions = len(published.kept_hours)
    at_hours = (
        (hour, file_stored(replace(published, kept_hours=newest_hours(hour, versions)), week.hours))
        for hour in range(week.hours + 1)
    )
    lines.append(Line(f"{published.name}, {versions} files, computed", tuple(at_hours)))
    return line_plot("Bytes stored over a week", "hour", "bytes", lines, x_is_linear=True)


def _both(name: str, over: tuple[str, list[float]], series: Series) -> dict[str, Figure]:
    label, xs = over

    def line(title: str, ys: Sequence[float]) -> Line:
        return Line(title, tuple(sorted(zip(xs, ys, strict=True))))

    runs: tuple[LogRuns, ...] = series.runs
    published = [median(run.published) for run in runs]
    hours = [median_hour(run) for run in runs]
    time = (
        line("published set-up, each hour", [one.wall_s for one in published]),
        line("log engine, first run", [run.first.wall_s for run in runs]),
        line("log engine, each hour", [one.wall_s for one in hours]),
        line("1/20 of the published set-up", [one.wall_s / 20 for one in published]),
    )
    size = (
        line("published set-up, each hour", [one.size_bytes for one in published]),
        line("1.5 x zstd -3 of the changed rows", [1.5 * one.zstd_bytes for one in hours]),
        line("log engine, each hour", [one.bytes_new for one in hours]),
    )
    return {
        f"time-by-{name}.svg": line_plot(f"Time of a backup by {name}", label, "seconds", time),
        f"bytes-by-{name}.svg": line_plot(f"Bytes to send by {name}", label, "bytes", size),
    }
