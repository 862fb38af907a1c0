"""The log engine, hour by hour: what an hour brings, a backup, and its restore compared in every row."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from bench.changes import ChangeMeasure
from bench.data import DATABASE, check_equal
from bench.measuring import Measurement, files_below, measure, take
from bench.programs import BenchError
from bench.results import Hour, Run
from bench.systems import Permafrost, System
from permafrost.amounts import bytes_text
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.postgres.version import SUMMARIZING_MAJOR
from samples.churn import churn
from samples.database import OWNER

_SUMMARIES_S, _LOOK_S = 300.0, 0.05
Say = Callable[[str], None]
Live = Callable[[str, int, float], object]
"""Lets an hour pass on a database: how to connect, the hour's number from 0, and how much happens in it."""


def live_as_mastodon(conninfo: str, number: int, amount: float) -> None:
    """Let an hour of a small Mastodon server pass."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        churn(connection, hour=number, amount=amount)


@dataclass(frozen=True, slots=True)
class Servers:
    """The server that is backed up, and the one that is restored to. Neither vacuums on its own: `live` does."""

    source: ScratchCluster
    target: ScratchCluster
    database: str = DATABASE
    live: Live = live_as_mastodon

    @property
    def conninfo(self) -> str:
        """How to connect to the database that is backed up."""
        return self.source.conninfo(self.database)

    @property
    def major(self) -> int:
        """The server's major version."""
        with psycopg.connect(self.conninfo) as connection:
            return connection.info.server_version // 10000

    def make_owner(self) -> None:
        """Make the role that owns the database, on the server that is restored to."""
        with psycopg.connect(self.target.conninfo("postgres")) as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(OWNER)))

    def drop_restored(self, name: str) -> None:
        """Drop a database on the server that is restored to."""
        with psycopg.connect(self.target.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def archive_nothing(self) -> None:
        """Let the server throw its WAL away, which archive_mode keeps until a command has taken it."""
        with psycopg.connect(self.source.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET archive_command = '/bin/true'")
            connection.execute("SELECT pg_reload_conf()")

    def wal_bytes(self) -> int:
        """How much WAL the server that is backed up has written since it was made."""
        with psycopg.connect(self.source.conninfo("postgres"), autocommit=True) as connection:
            row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone()
        return int(row[0]) if row else 0

    def summarize_wal(self) -> bool:
        """Let the server note which blocks its WAL touches; return whether it can, once it has done so up to now."""
        with psycopg.connect(self.source.conninfo("postgres"), autocommit=True) as connection:
            if connection.info.server_version < SUMMARIZING_MAJOR * 10000:
                return False
            connection.execute("ALTER SYSTEM SET summarize_wal = on")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CHECKPOINT")  # it ends a summary, and wakes the server's process for them
            until = time.monotonic() + _SUMMARIES_S
            while not _is_summarized(connection):
                if time.monotonic() > until:
                    raise BenchError(f"the server has not summarized its WAL within {_SUMMARIES_S:.0f} s")
                time.sleep(_LOOK_S)
        return True


def _is_summarized(connection: psycopg.Connection) -> bool:
    query = """SELECT summarized_lsn >= redo_lsn FROM pg_get_wal_summarizer_state(), pg_control_checkpoint()"""
    return connection.execute(query).fetchone() == (True,)


def log_run(servers: Servers, system: Permafrost) -> Run:
    """Make a backup, and return what it took and what it left in the repository's folder."""
    said = []
    wal_before = servers.wal_bytes()
    took = take(lambda: said.append(system.backup()), server_pid=lambda: servers.source.pid, stored=system.repository)
    wal_bytes = servers.wal_bytes() - wal_before
    one = said[0]
    return Run(
        wall_s=took.wall_s,
        cpu_s=took.cpu_s,
        bytes_new=one.bytes_new,
        files_new=one.files_new,
        counted_bytes=took.sent_bytes,
        counted_files=took.files_new,
        rows_new=one.rows_new,
        rows_gone=one.rows_gone,
        peak_bytes=one.peak_bytes,
        state_bytes=sum(size for size, _ in files_below(system.state).values()),
        server_cpu_s=took.server_cpu_s,
        all_peak_bytes=took.peak_bytes,
        stored_bytes=took.stored_bytes,
        files=took.files,
        work_s=one.work_s,
        scan=one.scan,
        wal_bytes=wal_bytes,
    )


def live_an_hour(
    servers: Servers, system: Permafrost, number: int, amount: float, say: Say, settle: Callable[[], None]
) -> Hour:
    """Let an hour pass, `settle`, back up, restore, compare; raise `BenchError` if a row differs."""
    measure_of_changes = ChangeMeasure(servers.conninfo)
    servers.live(servers.conninfo, number, amount)
    settle()
    run = log_run(servers, system)
    changes = measure_of_changes.since()  # not before: it would warm up what the run has to read
    restored, tables, rows = restore_and_compare(servers, system)
    hour = Hour(amount, changes, run, restored.wall_s, tables, rows)
    say(f"hour {number + 1}, churn x{amount:g}: {_told(hour)}")
    return hour


def _told(hour: Hour) -> str:
    run, changes = hour.run, hour.changes
    return (
        f"{run.wall_s:.2f} s, CPU {run.cpu_s:.2f} s; {run.counted_bytes:,} bytes in {run.counted_files} files, "
        f"{run.counted_bytes / changes.zstd_bytes:.2f} of {changes.zstd_bytes:,}; rows +{run.rows_new:,} "
        f"-{run.rows_gone:,} (truly +{changes.rows:,} -{changes.gone:,}); peak {bytes_text(run.peak_bytes)}; "
        f"restored in {hour.restore_s:.1f} s, {hour.rows_equal:,} rows in {hour.tables_equal} tables equal"
    )


def restore_and_compare(servers: Servers, system: System) -> tuple[Measurement, int, int]:
    """Restore, compare every row of every table with the source, drop; return what restoring took, tables, rows."""
    names = []

    def work() -> int:
        names.append(system.restore(servers.target))
        return 0

    os.sync()
    took = measure(work)
    tables, rows = check_equal(servers.conninfo, servers.target.conninfo(names[0]))
    servers.drop_restored(names[0])
    return took, tables, rows
