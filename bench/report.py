"""Renders docs/benchmarks.md and the summary on the terminal from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench import texts
from bench.changed_blocks_report import CHANGED_JUDGED, changed_judged, changed_parts, changed_table
from bench.growth_report import GROWTH, growth_parts, growth_rows
from bench.judgement import figures
from bench.limits_report import LIMITS, limit_rows, limits_parts
from bench.minutes_report import MINUTES, minute_rows, minutes_parts
from bench.pgbench_report import pgbench_parts, pgbench_rows
from bench.reasons import shortfalls
from bench.results import OneSize, Results, Series
from bench.rows import (
    BACKUPS,
    HOURS,
    JUDGED,
    OTHERS,
    RESTORES,
    SERIES,
    backup_rows,
    hour_rows,
    judged_rows,
    other_rows,
    restore_rows,
    series_rows,
)
from bench.tables import markdown, text_table
from bench.texts import data_text, facts_text
from bench.week_report import WEEK, week_rows, week_section
from bench.work_report import work_parts
from permafrost.amounts import bytes_text


def sizes_of(results: Results) -> Series | None:
    """Return the series of sizes by size, with the database that has a part of its own if none was about as big."""
    if results.sizes is None:
        return None
    runs = list(results.sizes.runs)
    if results.one_size is not None:
        other = results.one_size.log
        size = other.data.database_bytes
        if not any(abs(one.data.database_bytes / size - 1) < 0.1 for one in runs):
            runs.append(other)
    return replace(results.sizes, runs=tuple(sorted(runs, key=lambda one: one.data.database_bytes)))


def summary(results: Results) -> list[str]:
    """Return the lines that the terminal shows at the end."""
    lines: list[str] = []
    if results.one_size:
        lines += text_table(JUDGED, judged_rows(results.one_size))
        if results.one_size.week:
            lines += ["", *text_table(WEEK, week_rows(results.one_size.week))]
    for series in (sizes_of(results), results.churns):
        if series:
            lines += ["", *text_table(SERIES, series_rows(series))]
    if results.minutes:
        lines += ["", *text_table(MINUTES, minute_rows(results.minutes))]
    if results.changed_blocks:
        lines += ["", *text_table(*changed_table(results.changed_blocks))]
        lines += ["", *text_table(CHANGED_JUDGED, changed_judged(results.changed_blocks))]
    if results.limits:
        lines += ["", *text_table(LIMITS, limit_rows(results.limits))]
    if results.growth:
        lines += ["", *text_table(GROWTH, growth_rows(results.growth))]
    if results.pgbench:
        lines += ["", *text_table(OTHERS, pgbench_rows(results.pgbench))]
    return lines


def document(results: Results) -> str:
    """Return docs/benchmarks.md."""
    parts = ["# Benchmarks", texts.HEAD]
    if results.one_size:
        parts += _one_size(results.one_size)
    if sizes := sizes_of(results):
        parts += _series("size", "The same hour at several sizes", texts.SIZES, sizes)
    if results.limits:
        parts += limits_parts(results.limits)
    if results.changed_blocks:
        parts += changed_parts(results.changed_blocks)
    if results.churns:
        parts += _series("churn", "Several amounts of churn", texts.CHURNS, results.churns)
    if results.minutes:
        parts += minutes_parts(results.minutes)
    if results.growth:
        parts += growth_parts(results.growth)
    if results.pgbench:
        parts += pgbench_parts(results.pgbench)
    return "\n\n".join(parts) + "\n"


def _one_size(measured: OneSize) -> list[str]:
    log = measured.log
    each = (
        f"- published set-up: {_seconds([one.wall_s for one in log.published])}",
        f"- permafrost, engine dump: {_seconds([one.wall_s for one in measured.dump])}",
        f"- permafrost, engine log, each hour: {_seconds([one.run.wall_s for one in log.hours])}",
        f"- permafrost, engine log, unchanged: {_seconds([one.wall_s for one in log.unchanged])}",
    )
    last = log.hours[-1].run.state_bytes
    state = (
        f"The state, on disk beside the repository: {bytes_text(log.first.state_bytes)} after the first run, "
        f"{bytes_text(last)} after the last hour;\nthe heaps were {bytes_text(log.data.heap_bytes)} at the start."
    )
    scans_changed = all(hour.run.scan == "changed" for hour in log.hours)
    missed = shortfalls(figures(measured), scans_changed=scans_changed)
    return [
        "## What was promised, and what it is",
        facts_text(measured.facts),
        data_text(log.data),
        markdown(JUDGED, judged_rows(measured)),
        *(("What falls short, and why:", "\n".join(missed)) if missed else ()),
        "## Backup",
        texts.BACKUP,
        markdown(BACKUPS, backup_rows(measured)),
        "Every run, in order:",
        "\n".join(each),
        *work_parts(log),
        *(_others(measured) if measured.systems else ()),
        "## Hour by hour",
        texts.HOURS,
        markdown(HOURS, hour_rows(log.hours)),
        state,
        "## Restore",
        texts.RESTORE,
        markdown(RESTORES, restore_rows(measured)),
        *(week_section(measured.week) if measured.week else ()),
    ]


def _others(measured: OneSize) -> list[str]:
    return [
        "## Against what a user would pick instead",
        texts.others_text([one.name for one in measured.systems], measured.facts),
        *((texts.CARRIED,) if measured.carried else ()),
        markdown(OTHERS, other_rows(measured)),
    ]


def _series(name: str, title: str, text: str, series: Series) -> list[str]:
    pictures = (f"![Time by {name}](plots/time-by-{name}.svg)", f"![Bytes by {name}](plots/bytes-by-{name}.svg)")
    return [f"## {title}", text, facts_text(series.facts), markdown(SERIES, series_rows(series)), "\n\n".join(pictures)]


def _seconds(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f} s" for value in values)
