"""What was promised, next to what was measured: as it is, by the worst of several runs as well as by their median."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.measuring import median
from bench.results import OneSize
from bench.week_rules import sent_in_week
from permafrost.amounts import bytes_text

UNCHANGED_BYTES = 64 * 1024
UNCHANGED_FILES = 6
PEAK_BYTES = 250_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A promise: at most `target`; `values` are all that was measured."""

    name: str
    target: float
    values: tuple[float, ...]
    text: Callable[[float], str]

    @property
    def median(self) -> float:
        """The median of what was measured."""
        return statistics.median(self.values)

    @property
    def worst(self) -> float:
        """The worst of what was measured."""
        return max(self.values)

    @property
    def verdict(self) -> str:
        """Whether the promise was kept, by every run, by the median only, or not."""
        if self.worst <= self.target:
            return "yes"
        return "by the median only" if self.median <= self.target else "no"


def figures(measured: OneSize) -> tuple[Figure, ...]:
    """Return the promises of the dump engine and of the log engine with what was measured."""
    log = measured.log
    published_s = median(log.published).wall_s
    hours = [hour.run for hour in log.hours]
    runs = (log.first, *log.unchanged, *hours)
    return (
        Figure(
            "dump engine, time / published", 1 / 3, _over([m.wall_s for m in measured.dump], published_s), ratio_text
        ),
        Figure("log engine, first run, time / published", 0.25, (log.first.wall_s / published_s,), ratio_text),
        Figure(
            "log engine, hourly, time / published", 1 / 20, _over([r.wall_s for r in hours], published_s), ratio_text
        ),
        Figure(
            "log engine, hourly, bytes / zstd -3 of the changed rows",
            1.5,
            tuple(hour.run.counted_bytes / hour.changes.zstd_bytes for hour in log.hours),
            ratio_text,
        ),
        Figure("log engine, unchanged, bytes", UNCHANGED_BYTES, tuple(r.counted_bytes for r in log.unchanged), _size),
        Figure("log engine, unchanged, new files", UNCHANGED_FILES, tuple(r.counted_files for r in log.unchanged), _n),
        Figure("log engine, peak memory of its process", PEAK_BYTES, tuple(run.peak_bytes for run in runs), _size),
        Figure(
            "log engine, state / heap", 0.03, tuple(run.state_bytes / log.data.heap_bytes for run in runs), _per_cent
        ),
        *restore_figures(measured),
        *figures_against_others(measured),
        *figures_of_the_week(measured),
    )


def figures_against_others(measured: OneSize) -> tuple[Figure, ...]:
    """Return the promises of the log engine against what a user would pick instead, none if none was measured."""
    log, hours = measured.log, [hour.run for hour in measured.log.hours]
    if not measured.systems:
        return ()
    published = median(log.published)
    bytes_sent, seconds = [run.counted_bytes for run in hours], [run.wall_s for run in hours]
    found = [
        Figure("log engine, hourly, bytes / published", 1 / 300, _over(bytes_sent, published.size_bytes), ratio_text),
    ]
    for one in measured.systems:
        if one.name not in {"restic", "borg"}:
            continue
        other_bytes = statistics.median(hour.sent_bytes for hour in one.hours)
        other_s = statistics.median(hour.wall_s for hour in one.hours)
        found.append(
            Figure(f"log engine, hourly, bytes / {one.name}", 0.01, _over(bytes_sent, other_bytes), ratio_text)
        )
        found.append(Figure(f"log engine, hourly, time / {one.name}", 1 / 8, _over(seconds, other_s), ratio_text))
        if one.name == "restic":
            first = log.first.wall_s / one.first.wall_s
            found.append(Figure("log engine, first run, time / restic", 1.0, (first,), ratio_text))
    return tuple(found)


def figures_of_the_week(measured: OneSize) -> tuple[Figure, ...]:
    """Return the promises of a week with retention, none if no week was measured."""
    week = measured.week
    by_name = {one.name: one for one in week.systems} if week else {}
    if week is None or "restic" not in by_name:
        return ()
    own, restic = week.systems[0], by_name["restic"]
    sent = sent_in_week(own, week.hours) / sent_in_week(restic, week.hours)
    return (
        Figure(
            "log engine, stored after a week / restic", 1 / 20, (own.stored_bytes / restic.stored_bytes,), ratio_text
        ),
        Figure("log engine, sent in a week / restic (estimate)", 1 / 20, (sent,), ratio_text),
    )


def restore_figures(measured: OneSize) -> tuple[Figure, ...]:
    """Return the promises of restoring a log snapshot with what was measured."""
    by_name = {one.name: one for one in measured.restores}
    log = by_name["permafrost, engine log"]
    found = []
    for name, title, target in (
        ("published set-up", "published", 0.75),
        ("pg_dump -Fc, pg_restore -j2, no encryption", "pg_restore -j2", 1.0),
    ):
        other = statistics.median(run.wall_s for run in by_name[name].runs)
        found.append(
            Figure(
                f"log engine, restore, time / {title}",
                target,
                _over([run.wall_s for run in log.runs], other),
                ratio_text,
            )
        )
    if log.peak_bytes:
        found.append(Figure("log engine, restore, peak memory of its process", PEAK_BYTES, (log.peak_bytes,), _size))
    return tuple(found)


def _over(values: Sequence[float], whole: float) -> tuple[float, ...]:
    return tuple(value / whole for value in values)


def ratio_text(value: float) -> str:
    """Return a ratio as a fraction if it is small, otherwise with three digits."""
    if value < 0.03:
        return f"1/{1 / value:.0f}"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _size(value: float) -> str:
    return bytes_text(round(value))


def _n(value: float) -> str:
    return f"{value:.0f}"


def _per_cent(value: float) -> str:
    return f"{value:.2%}"
