"""python -m bench.large: the memory that permafrost takes with a database of 20 GB and 70 million rows, or more.

A Mastodon-like database of a gigabyte, with its large tables copied again and again, without indexes, until it is large
enough. It is backed up whole, after an hour of churn, unchanged, and audited; listed, looked at, verified and pruned;
and restored to another server, which compares every row with the audited snapshot. Of each command, time and the most
memory of its own process. PostgreSQL 17 or newer summarizes its WAL. Some 2.5 times the size of disk is needed, where
temporary files are. Nothing is written into docs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql

from bench.data import make_database
from bench.hours import Servers, live_as_mastodon
from bench.measuring import files_below
from bench.programs import BenchError, Told, permafrost, temporary_folder
from bench.systems import Permafrost
from permafrost.amounts import bytes_text
from permafrost.postgres.programs.scratch import ScratchCluster

_BASE_BYTES = 1_000_000_000
_LARGE_TABLE_PART = 1 / 200  # of all that is copied
_OF_DISK = 2.5
_FINDINGS = 3
_SETTINGS = {"autovacuum": "off"}


def main() -> int:
    """Measure, and print a line for each command."""
    parser = argparse.ArgumentParser(prog="python -m bench.large", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=20.0, metavar="N", help="of database; default 20")
    parser.add_argument("--million-rows", type=float, default=70.0, metavar="N", help="at least; default 70")
    asked = parser.parse_args()
    try:
        with temporary_folder() as folder:
            _check_room(folder, asked.gigabytes)
            target = ScratchCluster(folder / "target", settings=_SETTINGS)
            with ScratchCluster(folder / "server", settings=_SETTINGS) as cluster:
                servers = Servers(cluster, target)
                servers.summarize_wal()
                make_database(cluster, min(_BASE_BYTES, round(asked.gigabytes * 1e9 / 4)))
                _grow(servers.conninfo, asked.gigabytes * 1e9, asked.million_rows * 1e6)
                servers.summarize_wal()
                _measure(servers, folder)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _check_room(folder: Path, gigabytes: float) -> None:
    free, needed = shutil.disk_usage(folder).free, _OF_DISK * gigabytes * 1e9
    if free < needed:
        raise BenchError(f"about {bytes_text(round(needed))} of disk are needed, and {bytes_text(free)} are free")


def _grow(conninfo: str, size_bytes: float, rows: float) -> None:
    """Copy the large tables until the database has the size and the rows, and say what it has."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        large = [
            name
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                " AND pg_relation_size(oid) >= %s * pg_database_size(current_database())",
                (_LARGE_TABLE_PART,),
            )
        ]
        number, (has_bytes, has_rows) = 0, _amount(connection)
        while has_bytes < size_bytes or has_rows < rows:
            number += 1
            for name in large:
                copy = sql.Identifier(f"{name[:50]}_again_{number}")
                has_rows += connection.execute(
                    sql.SQL("CREATE TABLE {} AS TABLE {}").format(copy, sql.Identifier(name))
                ).rowcount
            has_bytes, _ = _amount(connection)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    print(f"{bytes_text(has_bytes)}, about {has_rows:,} rows", flush=True)


def _amount(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(
        "SELECT pg_database_size(current_database()), sum(reltuples)::bigint FROM pg_class WHERE relkind = 'r'"
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row[0], row[1]


def _measure(servers: Servers, folder: Path) -> None:
    system = Permafrost(folder / "permafrost", servers.conninfo, "log")
    config, peaks = f"--config={system.config_file}", []

    def run(what: str, *words: str) -> None:
        began = time.monotonic()
        told: Told = permafrost(*words, codes=(0, _FINDINGS))
        peaks.append(told.peak_bytes)
        print(f"{what:24} {time.monotonic() - began:8.1f} s {bytes_text(told.peak_bytes):>8}", flush=True)

    run("first backup", "backup", config)
    for number in range(2):
        live_as_mastodon(servers.conninfo, number, 1.0)
        run("an hour", "backup", config)
    run("unchanged", "backup", config)
    run("audited", "backup", config, "--audit")
    run("snapshots", "snapshots", config)
    run("status", "status", config)
    run("verify", "verify", config)
    run("prune", "prune", config)
    with servers.target:
        servers.make_owner()
        began = time.monotonic()
        system.restore(servers.target)
        peaks.append(system.restore_peak_bytes)
        print(f"{'restore':24} {time.monotonic() - began:8.1f} s {bytes_text(peaks[-1]):>8}")
    state_bytes = sum(size for size, _ in files_below(system.state).values())
    print(f"at most {bytes_text(max(peaks))}; the state has {bytes_text(state_bytes)}")


if __name__ == "__main__":
    sys.exit(main())
