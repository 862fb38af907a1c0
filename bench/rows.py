"""The rows of the tables in docs/benchmarks.md, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.judgement import figures
from bench.measuring import Measurement, Taken, median
from bench.results import CarriedRuns, Hour, LogRuns, OneSize, Run, Series, SystemRuns
from permafrost.amounts import bytes_text

JUDGED = ("promised", "at most", "median", "worst", "runs", "kept")
BACKUPS = ("system", "time", "CPU", "server CPU", "peak memory", "bytes to send", "time / published")
HOURS = (
    *("hour", "new rows", "gone", "their COPY text", "zstd -3 of it", "bytes sent", "ratio"),
    *("files", "time", "CPU", "peak memory", "restore", "rows equal"),
)
RESTORES = ("system", "time", "CPU", "time / published", "peak memory", "every run")
OTHERS = (
    *("system", "first", "first sent", "each hour", "CPU", "server CPU", "sent each hour", "carried", "held after"),
    *("stored", "files", "peak memory", "restore"),
)
SERIES = (
    *("database", "new rows", "published", "first run", "hourly", "hourly / published"),
    *("full bytes", "hourly bytes", "zstd -3", "ratio", "unchanged", "state / heap", "peak memory"),
)


@dataclass(frozen=True, slots=True)
class MedianHour:
    """The median of each quantity of several hours by itself."""

    wall_s: float
    rows: int
    bytes_new: int
    zstd_bytes: int


def median_hour(runs: LogRuns) -> MedianHour:
    """Return the medians of the hours."""
    hours = runs.hours
    return MedianHour(
        statistics.median(hour.run.wall_s for hour in hours),
        round(statistics.median(hour.changes.rows for hour in hours)),
        round(statistics.median(hour.run.counted_bytes for hour in hours)),
        round(statistics.median(hour.changes.zstd_bytes for hour in hours)),
    )


def judged_rows(measured: OneSize) -> list[tuple[str, ...]]:
    """Return a row for each promise."""
    return [
        (
            figure.name,
            figure.text(figure.target),
            figure.text(figure.median),
            figure.text(figure.worst),
            str(len(figure.values)),
            figure.verdict,
        )
        for figure in figures(measured)
    ]


def backup_rows(measured: OneSize) -> list[tuple[str, ...]]:
    """Return a row for each kind of backup, compared with the published set-up."""
    log = measured.log
    published = median(log.published)
    systems = (
        ("published set-up", published),
        ("permafrost, engine dump", median(measured.dump)),
        ("permafrost, engine log: first run", _measurement(log.first)),
        ("permafrost, engine log: each hour", median([_measurement(hour.run) for hour in log.hours])),
        ("permafrost, engine log: unchanged", median([_measurement(one) for one in log.unchanged])),
        *((f"{one.name}: first run", _of_taken(one.first)) for one in measured.systems),
    )
    return [
        (
            name,
            f"{one.wall_s:.1f} s",
            f"{one.cpu_s:.1f} s",
            f"{one.server_cpu_s:.1f} s" if one.server_cpu_s else "",
            bytes_text(one.peak_bytes) if one.peak_bytes else "",
            bytes_text(one.size_bytes),
            f"{one.wall_s / published.wall_s:.3f}",
        )
        for name, one in systems
    ]


def hour_rows(hours: Sequence[Hour]) -> list[tuple[str, ...]]:
    """Return a row for each hour."""
    return [
        (
            str(number),
            f"{hour.changes.rows:,}",
            f"{hour.changes.gone:,}",
            bytes_text(hour.changes.text_bytes),
            bytes_text(hour.changes.zstd_bytes),
            bytes_text(hour.run.counted_bytes),
            f"{_ratio(hour):.2f}",
            str(hour.run.counted_files),
            f"{hour.run.wall_s:.2f} s",
            f"{hour.run.cpu_s:.2f} s",
            bytes_text(hour.run.peak_bytes),
            f"{hour.restore_s:.1f} s",
            f"{hour.rows_equal:,} in {hour.tables_equal} tables",
        )
        for number, hour in enumerate(hours, 1)
    ]


def restore_rows(measured: OneSize) -> list[tuple[str, ...]]:
    """Return a row for each system with its restore, compared with the published set-up's."""
    first = median(measured.restores[0].runs)
    rows: list[tuple[str, ...]] = []
    for one in measured.restores:
        took = median(one.runs)
        peak = bytes_text(one.peak_bytes) if one.peak_bytes else ""
        runs = ", ".join(f"{run.wall_s:.1f} s" for run in one.runs)
        rows.append((one.name, f"{took.wall_s:.1f} s", f"{took.cpu_s:.1f} s", f"{_over(took, first):.2f}", peak, runs))
    return rows


def _over(took: Measurement, first: Measurement) -> float:
    return took.wall_s / first.wall_s


def other_rows(measured: OneSize) -> list[tuple[str, ...]]:
    """Return a row for the log engine, the published set-up and each system that a user would pick instead."""
    restored = {one.name: tuple(Taken(run.wall_s, run.cpu_s, 0, 0) for run in one.runs) for one in measured.restores}
    carried = {one.name: one for one in measured.carried}
    log = log_system(measured.log, restored.get("permafrost, engine log", ()))
    rows = [other_row(one, carried.get(one.name)) for one in (log, *measured.systems)]
    if found := carried.get("published set-up"):
        rows.insert(1, _published_row(measured, found, restored.get(found.name, ())))
    return rows


def log_system(log: LogRuns, restores: Sequence[Taken]) -> SystemRuns:
    """Return the log engine's runs as those of one of the systems."""
    hours = tuple(_taken(hour.run) for hour in log.hours)
    return SystemRuns("permafrost, engine log", _taken(log.first), hours, tuple(restores))


def _published_row(measured: OneSize, carried: CarriedRuns, restores: Sequence[Taken]) -> tuple[str, ...]:
    """Return its row: the later of its full runs are its hours, as it does the same each time."""
    first, *later = (
        Taken(one.wall_s, one.cpu_s, one.server_cpu_s, one.peak_bytes, *(one.size_bytes,) * 2, 1, 1)
        for one in measured.log.published
    )
    return other_row(SystemRuns(carried.name, first, tuple(later), tuple(restores)), carried)


def other_row(one: SystemRuns, carried: CarriedRuns | None) -> tuple[str, ...]:
    """Return the row of one system, and how what it has stored was carried, if it was."""
    walls = [hour.wall_s for hour in one.hours]
    later = [run for run in carried.runs if run.after == "hour"] if carried else []
    return (
        one.name,
        f"{one.first.wall_s:.1f} s",
        bytes_text(one.first.sent_bytes),
        f"{statistics.median(walls):.2f} s ({min(walls):.2f}-{max(walls):.2f})",
        f"{statistics.median(hour.cpu_s for hour in one.hours):.2f} s",
        f"{statistics.median(hour.server_cpu_s for hour in one.hours):.2f} s",
        bytes_text(round(statistics.median(hour.sent_bytes for hour in one.hours))),
        bytes_text(round(statistics.median(run.sent_bytes for run in later))) if later else "",
        f"{statistics.median(run.wall_s for run in later):.2f} s" if later else "",
        bytes_text(one.hours[-1].stored_bytes),
        str(one.hours[-1].files),
        bytes_text(max(taken.peak_bytes for taken in (one.first, *one.hours))),
        f"{statistics.median(taken.wall_s for taken in one.restores):.1f} s" if one.restores else "",
    )


def _taken(run: Run) -> Taken:
    sizes = (run.counted_bytes, run.stored_bytes, run.counted_files, run.files)
    return Taken(run.wall_s, run.cpu_s, run.server_cpu_s, run.all_peak_bytes, *sizes)


def series_rows(series: Series) -> list[tuple[str, ...]]:
    """Return a row for each database of a series."""
    return [_series_row(runs) for runs in series.runs]


def _series_row(runs: LogRuns) -> tuple[str, ...]:
    published = median(runs.published)
    hour = median_hour(runs)
    everything = (runs.first, *runs.unchanged, *(one.run for one in runs.hours))
    return (
        bytes_text(runs.data.database_bytes),
        f"{hour.rows:,}",
        f"{published.wall_s:.1f} s",
        f"{runs.first.wall_s:.1f} s",
        f"{hour.wall_s:.2f} s",
        f"1/{published.wall_s / hour.wall_s:.1f}",
        bytes_text(published.size_bytes),
        bytes_text(hour.bytes_new),
        bytes_text(hour.zstd_bytes),
        f"{max(map(_ratio, runs.hours)):.2f}",
        bytes_text(max(one.counted_bytes for one in runs.unchanged)),
        f"{max(one.state_bytes for one in everything) / runs.data.heap_bytes:.2%}",
        bytes_text(max(one.peak_bytes for one in everything)),
    )


def _ratio(hour: Hour) -> float:
    return hour.run.counted_bytes / hour.changes.zstd_bytes


def _measurement(run: Run) -> Measurement:
    return Measurement(run.wall_s, run.cpu_s, run.counted_bytes, run.server_cpu_s, run.all_peak_bytes)


def _of_taken(one: Taken) -> Measurement:
    return Measurement(one.wall_s, one.cpu_s, one.sent_bytes, one.server_cpu_s, one.peak_bytes)
