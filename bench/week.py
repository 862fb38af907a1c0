"""A week of hours, simulated: each system keeps its last 24 hourly and 7 daily backups, by its own retention.

permafrost makes a backup each hour and prunes after it, as its service does, by a clock that is set an hour on each
time. Its runs are made in this process, as no command takes a clock.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from bench.archives import Borg, Restic, ZstdArchive
from bench.hours import Say, Servers, restore_and_compare
from bench.measuring import measure, median
from bench.results import OneSize
from bench.systems import Permafrost, PublishedSetup
from bench.week_others import OtherWeeks, timed
from bench.week_results import FileWeek, SystemWeek, Week, WeekRestore, WeekRun
from bench.week_rules import RETENTION, VERSIONS, hours_kept, moments_of_week, newest_hours
from permafrost.amounts import bytes_text
from permafrost.config.loading import load_configuration
from permafrost.config.models import Configuration, Retention
from permafrost.events import ignore_events
from permafrost.operations.backup import back_up
from permafrost.operations.prune import prunable, prune
from permafrost.repository.layout import Layout
from permafrost.repository.snapshots import list_snapshots

_A_DAY = 24


@dataclass(frozen=True, slots=True)
class WeekSystems:
    """Those that live through the week. Those of files do not: they keep full backups and what depends on them."""

    log: Permafrost
    published: PublishedSetup
    zstd: ZstdArchive
    restic: Restic
    borg: Borg


def measure_week(
    servers: Servers,
    systems: WeekSystems,
    measured: OneSize,
    hours: int,
    say: Say,
    *,
    retention: Retention = RETENTION,
) -> Week:
    """Let so many hours pass after those that were measured; raise `BenchError` if a restore then differs."""
    servers.archive_nothing()
    hours_before = len(measured.log.hours)
    moments = moments_of_week(datetime.now(UTC), hours)
    kept = hours_kept(moments, retention)
    others = OtherWeeks((systems.restic, systems.borg), retention)
    configuration = load_configuration(systems.log.config_file).model_copy(update={"retention": retention})
    first_bytes = _database_bytes(servers)
    runs: list[WeekRun] = []
    for hour, moment in enumerate(moments, 1):
        servers.live(servers.conninfo, hours_before + hour - 1, 1.0)
        runs.append(_log_hour(systems.log, configuration, hour, moment))
        if hour in kept:
            others.back_up(hour, moment, is_alone=hour == hours)
        if hour % _A_DAY == 0 or hour == hours:
            say(_told(runs))
    database_bytes = _database_bytes(servers)
    files = _files(systems, measured, kept, hours)
    ended = others.ended(measured.systems, say)
    snapshots = list_snapshots(Layout(systems.log.repository))
    restores = _restores(servers, systems.log, moments, say)
    log = SystemWeek(
        name=systems.log.name,
        runs=tuple(runs),
        kept=len(snapshots),
        stored_bytes=runs[-1].stored_bytes,
        files=runs[-1].files,
        sent_first_bytes=round(statistics.median(hour.run.counted_bytes for hour in measured.log.hours)),
        wall_first_s=_median_wall(runs[:_A_DAY]),
        wall_last_s=_median_wall(runs[-_A_DAY:]),
    )
    return Week(hours, first_bytes, database_bytes, (log, *ended), files, restores)


def _log_hour(log: Permafrost, configuration: Configuration, hour: int, moment: datetime) -> WeekRun:
    """Back up, then remove what is no longer kept, as the service does."""

    def work() -> None:
        back_up(configuration, report=ignore_events, now=moment)
        if prunable(configuration, moment):
            prune(configuration, is_dry_run=False, report=ignore_events, now=moment)

    return timed(log.repository, hour, work)


def _median_wall(runs: list[WeekRun]) -> float:
    return statistics.median(run.wall_s or 0.0 for run in runs)


def _told(runs: list[WeekRun]) -> str:
    last = runs[-1]
    walls = _median_wall(runs[-_A_DAY:])
    sent = sum(run.sent_bytes for run in runs)
    return (
        f"week, hour {last.hour}: {walls:.2f} s a run, {bytes_text(sent)} sent so far, "
        f"{bytes_text(last.stored_bytes)} in {last.files} files"
    )


def _files(systems: WeekSystems, measured: OneSize, kept: tuple[int, ...], hours: int) -> tuple[FileWeek, ...]:
    """Write both whole files once more, and return their weeks."""
    published, sealed = median(measured.log.published), measure(systems.published.first)
    known = next(one for one in measured.systems if one.name == systems.zstd.name).hours
    archive = timed(systems.zstd.stored, hours, systems.zstd.backup)
    first_s = statistics.median(one.wall_s for one in known)
    return (
        FileWeek(
            systems.published.name,
            newest_hours(hours, VERSIONS),
            published.size_bytes,
            sealed.size_bytes,
            published.wall_s,
            sealed.wall_s,
        ),
        FileWeek(systems.zstd.name, kept, known[-1].stored_bytes, archive.stored_bytes, first_s, archive.wall_s or 0.0),
    )


def _restores(
    servers: Servers, log: Permafrost, moments: tuple[datetime, ...], say: Say
) -> tuple[WeekRestore, WeekRestore]:
    """Restore the newest snapshot, and compare every row; then the oldest, which counts its rows itself."""
    snapshots = list_snapshots(Layout(log.repository))
    hour_of = {moment: hour for hour, moment in enumerate(moments, 1)}
    log.choice = str(snapshots[-1])
    took, tables, rows = restore_and_compare(servers, log)
    say(f"restore: the newest, {snapshots[-1]}: {took.wall_s:.1f} s, {rows:,} rows in {tables} tables equal")
    names: list[str] = []

    def oldest() -> int:
        names.append(log.restore_snapshot(servers.target, str(snapshots[0])))
        return 0

    old = measure(oldest)
    servers.drop_restored(names[0])
    say(f"restore: the oldest, {snapshots[0]}: {old.wall_s:.1f} s, as many rows as were backed up")
    return (
        WeekRestore(hour_of.get(snapshots[-1].made_at), took.wall_s, rows),
        WeekRestore(hour_of.get(snapshots[0].made_at), old.wall_s),
    )


def _database_bytes(servers: Servers) -> int:
    with psycopg.connect(servers.conninfo) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0
