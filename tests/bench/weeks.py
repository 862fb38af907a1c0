"""A week of results, made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bench.week_results import FileWeek, SystemWeek, Week, WeekRestore, WeekRun
from bench.week_rules import RETENTION, hours_kept, moments_of_week, newest_hours

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
OWN = SystemWeek(
    name="permafrost, engine log",
    runs=tuple(WeekRun(hour, 1_000_000, 200_000_000 + hour * 1_000_000, 40 + hour, 1.0) for hour in range(1, 169)),
    kept=31,
    stored_bytes=400_000_000,
    files=250,
    sent_first_bytes=1_000_000,
    wall_first_s=2.0,
    wall_last_s=2.5,
)
KEPT = hours_kept(moments_of_week(NOW, 168), RETENTION)
RESTIC = replace(
    OWN,
    name="restic",
    runs=tuple(WeekRun(hour, 300_000_000 if hour < 145 else 200_000_000, hour * 50_000_000, hour) for hour in KEPT),
    stored_bytes=8_000_000_000,
    sent_first_bytes=100_000_000,
    prune_s=12.5,
)
FILES = (
    FileWeek("published set-up", newest_hours(168, 7), 100_000_000, 184_000_000, 20.0, 30.0),
    FileWeek("archive", KEPT, 100_000_000, 184_000_000, 5.0, 7.0),
)
WEEK = Week(
    168,
    1_000_000_000,
    1_800_000_000,
    (OWN, RESTIC),
    FILES,
    (WeekRestore(168, 20.0, 5_000_000), WeekRestore(None, 15.0)),
)
