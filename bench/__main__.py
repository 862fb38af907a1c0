"""python -m bench: measures, prints the tables and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import psycopg
from psycopg import sql

from bench.data import DATABASE, contents, make_database
from bench.measuring import Measurement, measure
from bench.programs import BenchError
from bench.report import HEADINGS, RESTORE_HEADINGS, Facts, Result, backup_rows, document, restore_rows, text_table
from bench.systems import Permafrost, PublishedSetup, System
from permafrost import __version__
from permafrost.cli.amounts import bytes_text
from permafrost.errors import PermafrostError
from permafrost.openpgp.home import temporary_home
from permafrost.postgres.catalog import TableName
from permafrost.postgres.digest import TableContents
from permafrost.postgres.scratch import ScratchCluster
from samples.database import OWNER

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Measure, print and write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=sys.modules["bench"].__doc__)
    parser.add_argument("--size", type=float, default=0.3, metavar="GB", help="about so big a database; default 0.3")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each system; default 3")
    parser.add_argument("--output", type=Path, default=DOCUMENT, metavar="FILE", help="where the document goes")
    options = parser.parse_args()
    if options.size <= 0 or options.runs < 1:
        parser.error("--size has to be above 0, and --runs at least 1")
    signal.signal(signal.SIGTERM, _interrupt)
    command = f"python -m bench --size {options.size:g} --runs {options.runs}"
    try:
        facts, results = _measure_all(round(options.size * 1e9), options.runs, command)
    except (BenchError, PermafrostError) as error:
        print(f"bench: failed: {error}", file=sys.stderr)
        return 1
    print("\n".join(("", *text_table(HEADINGS, backup_rows(results)), "", "restore:")))
    print("\n".join(text_table(RESTORE_HEADINGS, restore_rows(results))))
    options.output.write_text(document(facts, results))
    print(f"\nwritten: {options.output}")
    return 0


def _measure_all(size_bytes: int, runs: int, command: str) -> tuple[Facts, list[Result]]:
    with ExitStack() as stack:
        folder = stack.enter_context(_temporary_folder())
        source = stack.enter_context(ScratchCluster(folder / "source"))
        _say(f"making a database of about {bytes_text(size_bytes)}")
        database_bytes, statuses = make_database(source, size_bytes)
        conninfo = source.conninfo(DATABASE)
        original = contents(conninfo)
        rows = sum(table.rows for table in original.values())
        _say(f"it takes {bytes_text(database_bytes)}, with {statuses:,} statuses and {rows:,} rows in all")
        with psycopg.connect(conninfo) as connection:
            server_version = connection.info.server_version
        gpg_home = stack.enter_context(temporary_home())
        systems: tuple[System, ...] = (
            PublishedSetup(folder / "published", conninfo, gpg_home, server_version // 10000),
            Permafrost(folder / "permafrost", conninfo, "dump"),
        )
        backups = _measure_backups(systems, runs)
        target = stack.enter_context(ScratchCluster(folder / "target"))
        with psycopg.connect(target.conninfo("postgres")) as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(OWNER)))
        results = [
            Result(system.name, tuple(backups[system.name]), _measure_restore(system, target, original))
            for system in systems
        ]
    versions = {
        "permafrost": __version__,
        "PostgreSQL": f"{server_version // 10000}.{server_version % 10000}",
        "GnuPG": _version_of("gpg"),
        "gzip": _version_of("gzip"),
        "zstd": _version_of("zstd"),
        "Python": platform.python_version(),
    }
    cpus = len(os.sched_getaffinity(0))
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    return Facts(date, command, cpus, versions, database_bytes, rows, statuses), results


def _measure_backups(systems: Sequence[System], runs: int) -> dict[str, list[Measurement]]:
    """Run the systems in turn, so that whatever else the machine does meets all of them."""
    measured: dict[str, list[Measurement]] = {system.name: [] for system in systems}
    for number in range(1, runs + 1):
        for system in systems:
            os.sync()  # or one would wait for what another has left to the disk
            one = measure(system.first if number == 1 else system.hourly)
            measured[system.name].append(one)
            size = bytes_text(one.size_bytes)
            _say(f"backup {number}/{runs}: {system.name}: {one.wall_s:.1f} s, CPU {one.cpu_s:.1f} s, {size}")
    return measured


def _measure_restore(
    system: System, target: ScratchCluster, original: Mapping[TableName, TableContents]
) -> Measurement:
    """Restore, compare every table with the original, and drop what was restored."""
    restored = []

    def work() -> int:
        restored.append(system.restore(target))
        return 0

    os.sync()
    one = measure(work)
    name = restored[0]
    found = contents(target.conninfo(name))
    different = sorted(
        str(table) for table in original.keys() | found.keys() if original.get(table) != found.get(table)
    )
    if different:
        raise BenchError(f"{system.name} restored other rows than it backed up: {', '.join(different)}")
    _say(f"restore: {system.name}: {one.wall_s:.1f} s, {len(found)} tables equal")
    with psycopg.connect(target.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    return one


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Yield a folder that PostgreSQL's user can pass through."""
    with tempfile.TemporaryDirectory(prefix="permafrost-bench-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def _version_of(program: str) -> str:
    said = subprocess.run((program, "--version"), capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else "?"


def _say(text: str) -> None:
    print(text, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
