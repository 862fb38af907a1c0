"""What is measured in one go: everything at one size, the log engine at several sizes, or with several churns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.alternatives import Alternatives
from bench.archives import Borg, Restic, ZstdArchive
from bench.basebackup import BaseBackup
from bench.carrying import carrying
from bench.data import DATABASE, make_database
from bench.hours import Live, Say, Servers, live_an_hour, live_as_mastodon, log_run, restore_and_compare
from bench.measuring import Measurement, take
from bench.pgbackrest import PgBackRest
from bench.programs import LeftOutError
from bench.results import After, Data, Facts, LogRuns, OneSize, Restored, Run, Series
from bench.systems import Permafrost, PlainArchive, PublishedSetup, System
from bench.week import WeekSystems, measure_week
from permafrost.amounts import bytes_text
from permafrost.openpgp.home import temporary_home
from permafrost.postgres.programs.scratch import ScratchCluster

RESTORES = 3


def measure_one_size(
    folder: Path,
    facts: Facts,
    size_bytes: int,
    hours: int,
    say: Say,
    *,
    week_hours: int = 0,
    summarizes_wal: bool = True,
) -> OneSize:
    """Measure all systems on one database, the log engine for so many hours, every restore, and a week if asked to.

    A server that can summarize its WAL does so, unless that is not wanted.
    """
    with running_servers(folder) as servers, temporary_home() as gpg_home:
        data = make_mastodon(servers, size_bytes, say)
        major = servers.major
        if summarizes_wal and servers.summarize_wal():
            say("the server summarizes its WAL")
        published = PublishedSetup(folder / "published", servers.conninfo, gpg_home, major)
        dump = Permafrost(folder / "dump", servers.conninfo, "dump")
        log = Permafrost(folder / "log", servers.conninfo, "log")
        archive = PlainArchive(folder / "archive", servers.conninfo, major)
        of_dumps = _others_of_dumps(folder, servers.conninfo, gpg_home, major)
        systems = (*of_dumps, *others_of_files(folder, servers, gpg_home, say))
        stored = {log.name: log.repository, published.name: published.stored}
        stored |= {one.name: one.stored for one in systems}
        with carrying(folder / "carried", stored, say) as carrier:
            others = Alternatives(servers, systems, say, carrier.carry)
            others.back_up()
            full = {published.name: [_full(published, servers, say)], dump.name: [_full(dump, servers, say)]}
            carrier.carry(published.name, "first")
            runs = log_runs(servers, log, data, [1.0] * hours, full[published.name], say, others, carrier.carry)
            others.restore()
            for system in (published, dump, published, dump):  # again, so that no moment's noise decides
                full[system.name].append(_full(system, servers, say))
                if system is published:
                    carrier.carry(published.name, "hour")
        _full(archive, servers, say)
        measured = OneSize(
            facts,
            _with_published(runs, full[published.name]),
            tuple(full[dump.name]),
            (*_restores(servers, (published, archive, log), RESTORES, say), *_restores(servers, (dump,), 1, say)),
            others.measured(),
            carrier.measured(),
        )
        if not week_hours:
            return measured
        in_week = WeekSystems(log, published, *of_dumps)
        return replace(measured, week=measure_week(servers, in_week, measured, week_hours, say))


def measure_sizes(folder: Path, facts: Facts, sizes_bytes: Sequence[int], hours: int, say: Say) -> Series:
    """Measure the log engine and the published set-up at several sizes, with the same churn."""
    runs = [_measure_log(folder / f"size-{n}", size, [1.0] * hours, say) for n, size in enumerate(sizes_bytes)]
    return Series(facts, tuple(runs))


def measure_churns(
    folder: Path, facts: Facts, size_bytes: int, amounts: Sequence[float], hours: int, say: Say
) -> Series:
    """Measure the log engine with several amounts of churn, each on a new database of the same size."""
    runs = [_measure_log(folder / f"churn-{n}", size_bytes, [amount] * hours, say) for n, amount in enumerate(amounts)]
    return Series(facts, tuple(runs))


def _measure_log(folder: Path, size_bytes: int, amounts: Sequence[float], say: Say) -> LogRuns:
    folder.mkdir()
    folder.chmod(0o711)
    with running_servers(folder) as servers, temporary_home() as gpg_home:
        data = make_mastodon(servers, size_bytes, say)
        published = PublishedSetup(folder / "published", servers.conninfo, gpg_home, servers.major)
        log = Permafrost(folder / "log", servers.conninfo, "log")
        full = [_full(published, servers, say)]
        return log_runs(servers, log, data, amounts, full, say)


def _others_of_dumps(folder: Path, conninfo: str, gpg_home: Path, major: int) -> tuple[ZstdArchive, Restic, Borg]:
    return (
        ZstdArchive(folder / "zstd", conninfo, major, gpg_home),
        Restic(folder / "restic", conninfo, major),
        Borg(folder / "borg", conninfo, major),
    )


def others_of_files(folder: Path, servers: Servers, gpg_home: Path, say: Say) -> tuple[BaseBackup | PgBackRest, ...]:
    """Return those that back up the server's files, and say which of them cannot with this server."""
    conninfo, found = servers.conninfo, list[BaseBackup | PgBackRest]()
    makers: tuple[Callable[[], BaseBackup | PgBackRest], ...] = (
        lambda: BaseBackup(folder / "basebackup", conninfo, servers.major, gpg_home),
        lambda: PgBackRest(folder / "pgbackrest", conninfo, servers.source),
    )
    for make in makers:
        try:
            found.append(make())
        except LeftOutError as error:
            say(str(error))
    return tuple(found)


def log_runs(
    servers: Servers,
    log: Permafrost,
    data: Data,
    amounts: Sequence[float],
    published: list[Measurement],
    say: Say,
    others: Alternatives | None = None,
    carry: Callable[[str, After], None] | None = None,
) -> LogRuns:
    """Measure the log engine's first run, one after each hour with such an amount of churn, and two after nothing.

    The others make their backups after the same hours, and what the log engine stored is carried each time.
    """
    carry = carry or _not_carried

    def still() -> Run:
        one = log_run(servers, log)
        say(f"{log.name}, unchanged: {one.wall_s:.2f} s, {one.counted_bytes:,} bytes in {one.counted_files} files")
        carry(log.name, "unchanged")
        return one

    first = log_run(servers, log)
    say(f"{log.name}, first run: {first.wall_s:.1f} s, CPU {first.cpu_s:.1f} s, {bytes_text(first.bytes_new)}")
    carry(log.name, "first")
    unchanged = [still()]
    hours = []
    for number, amount in enumerate(amounts):
        hours.append(live_an_hour(servers, log, number, amount, say, others.settle if others else _at_once))
        carry(log.name, "hour")
        if others:
            others.after_an_hour()
    unchanged.append(still())
    return LogRuns(data, tuple(published), first, tuple(unchanged), tuple(hours))


def _at_once() -> None:
    """Nothing has to settle."""


def _not_carried(name: str, after: After) -> None:
    """What is measured is the backup alone."""


def _with_published(runs: LogRuns, published: Sequence[Measurement]) -> LogRuns:
    return LogRuns(runs.data, tuple(published), runs.first, runs.unchanged, runs.hours)


@contextmanager
def running_servers(folder: Path, database: str = DATABASE, live: Live = live_as_mastodon) -> Iterator[Servers]:
    """Yield a server to back up and one to restore to."""
    settings = {"autovacuum": "off"}
    archiving = {"archive_mode": "on", "full_page_writes": "on"}  # else pgBackRest's WAL would look small
    with (
        ScratchCluster(folder / "source", settings={**settings, **archiving}) as source,
        ScratchCluster(folder / "target", settings=settings) as target,
    ):
        servers = Servers(source, target, database, live)
        servers.archive_nothing()  # until pgBackRest sets its own command
        servers.make_owner()
        yield servers


def make_mastodon(servers: Servers, size_bytes: int, say: Say) -> Data:
    """Make the database of about that size, and tell what it takes."""
    say(f"making a database of about {bytes_text(size_bytes)}")
    data = make_database(servers.source, size_bytes)
    say(f"it takes {bytes_text(data.database_bytes)}, with {data.statuses:,} statuses and {data.rows:,} rows in all")
    return data


def _full(system: System, servers: Servers, say: Say) -> Measurement:
    sizes: list[int] = []
    took = take(lambda: sizes.append(system.first()), server_pid=lambda: servers.source.pid)
    one = Measurement(took.wall_s, took.cpu_s, sizes[0], took.server_cpu_s, took.peak_bytes)
    say(f"{system.name}: {one.wall_s:.1f} s, CPU {one.cpu_s:.1f} s, {bytes_text(one.size_bytes)}")
    return one


def _restores(servers: Servers, systems: Sequence[System], rounds: int, say: Say) -> tuple[Restored, ...]:
    """Restore with each system in turn, in several rounds where it is judged, so that no moment's noise decides."""
    runs: dict[str, list[Measurement]] = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            took, tables, rows = restore_and_compare(servers, system)
            say(f"restore: {system.name}: {took.wall_s:.1f} s, {rows:,} rows in {tables} tables equal")
            runs[system.name].append(took)
    peaks = {system.name: system.restore_peak_bytes for system in systems if isinstance(system, Permafrost)}
    return tuple(Restored(name, tuple(took), peaks.get(name)) for name, took in runs.items())
