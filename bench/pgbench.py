"""A second kind of database: pgbench's, four tables without anything like posts, changed all over by small updates.

An hour is a number of pgbench's own transactions (like TPC-B): each updates an account, a teller and a branch, and
adds a line to the history, so it writes four row versions.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

from bench.alternatives import Alternatives
from bench.archives import Borg, Published, Restic
from bench.carrying import carrying
from bench.data import settled
from bench.hours import Say
from bench.measuring import Measurement
from bench.programs import BenchError, pipe
from bench.results import Facts, Pgbench
from bench.sections import log_runs, running_servers
from bench.systems import Permafrost
from permafrost.amounts import bytes_text
from permafrost.openpgp.home import temporary_home
from permafrost.postgres.programs.binaries import server_binaries
from permafrost.postgres.programs.scratch import ScratchCluster
from samples.churn import vacuum_where_due

DATABASE = "pgbench"
TRANSACTIONS = 2500
"""In an hour: about as many row versions are written, 10,000, as in an hour of `samples/churn.py`."""


def measure_pgbench(folder: Path, facts: Facts, scale: int, hours: int, say: Say) -> Pgbench:
    """Measure the log engine and the systems that know no rows on a database of that scale, restoring every hour."""
    with (
        running_servers(folder, DATABASE, live_as_pgbench) as servers,
        temporary_home() as gpg_home,
    ):
        say(f"making pgbench's database with scale {scale}")
        make_pgbench(servers.source, scale)
        data = settled(servers.conninfo)
        say(f"it takes {bytes_text(data.database_bytes)}, with {data.rows:,} rows")
        log = Permafrost(folder / "log", servers.conninfo, "log")
        systems = (
            Published(folder / "published", servers.conninfo, servers.major, gpg_home),
            Restic(folder / "restic", servers.conninfo, servers.major),
            Borg(folder / "borg", servers.conninfo, servers.major),
        )
        stored = {log.name: log.repository, **{one.name: one.stored for one in systems}}
        with carrying(folder / "carried", stored, say) as carrier:
            others = Alternatives(servers, systems, say, carrier.carry, is_each_restored=True)
            others.back_up()
            published = others.measured()[0].first
            full = Measurement(published.wall_s, published.cpu_s, published.sent_bytes)
            runs = log_runs(servers, log, data, [1.0] * hours, [full], say, others, carrier.carry)
    return Pgbench(facts, scale, TRANSACTIONS, runs, others.measured(), carrier.measured())


def make_pgbench(cluster: ScratchCluster, scale: int) -> None:
    """Make and fill the database."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    _pgbench(cluster.conninfo(DATABASE), "--initialize", f"--scale={scale}", "--quiet")


def live_as_pgbench(conninfo: str, number: int, amount: float) -> None:
    """Let an hour pass: the same transactions for the same number, and `VACUUM` where autovacuum would do it."""
    count = max(1, round(TRANSACTIONS * amount))
    _pgbench(conninfo, "--no-vacuum", f"--transactions={count}", f"--random-seed={number + 1}")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        vacuum_where_due(connection)


def _pgbench(conninfo: str, *words: str) -> None:
    program = server_binaries() / "pgbench"
    if not program.is_file():
        raise BenchError(f"there is no {program}")
    pipe((str(program), *words, conninfo))
