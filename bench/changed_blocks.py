"""What a backup costs on a server that summarizes its WAL, with `changed_blocks` on and off, at several sizes.

At each size there is one server with two repositories. After each hour of churn, both back up, then both once more with
nothing changed. The sizes take turns, hour by hour, so that whatever else the machine does affects all of them alike.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.data import DATABASE, make_database
from bench.hours import Say, live_as_mastodon
from bench.measuring import take
from bench.programs import BenchError, permafrost
from bench.results import ChangedBlocks, Data, Facts, ScanRun, ScanRuns, ScanSetting
from bench.systems import Permafrost
from permafrost.amounts import bytes_text
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.postgres.version import SUMMARIZING_MAJOR

_SETTINGS = {"autovacuum": "off", "full_page_writes": "on"}
SCAN_SETTINGS: tuple[ScanSetting, ...] = ("auto", "off")


@dataclass(frozen=True, slots=True)
class _Place:
    """A server with a database of a size, and the two systems that back it up, by `changed_blocks`."""

    cluster: ScratchCluster
    data: Data
    systems: Mapping[ScanSetting, Permafrost]


def measure_changed_blocks(
    folder: Path, facts: Facts, sizes_bytes: Sequence[int], hours: int, say: Say
) -> ChangedBlocks:
    """Measure both settings at each size; raise `BenchError` if PostgreSQL is too old for it."""
    with ExitStack() as stack:
        places = [stack.enter_context(_place(folder / f"size-{n}", size, say)) for n, size in enumerate(sizes_bytes)]
        taken: dict[tuple[int, ScanSetting, str], list[ScanRun]] = defaultdict(list)
        for number in range(hours):
            for at, place in enumerate(places):
                live_as_mastodon(place.cluster.conninfo(DATABASE), number, 1.0)
                for setting, system in place.systems.items():
                    for kind in ("hour", "unchanged"):
                        run = _run(place, system)
                        say(f"{bytes_text(place.data.database_bytes)}, {setting}, {kind} {number + 1}: {_told(run)}")
                        taken[at, setting, kind].append(run)
    runs = tuple(
        ScanRuns(place.data, setting, tuple(taken[at, setting, "hour"]), tuple(taken[at, setting, "unchanged"]))
        for at, place in enumerate(places)
        for setting in SCAN_SETTINGS
    )
    return ChangedBlocks(facts, runs)


@contextmanager
def _place(folder: Path, size_bytes: int, say: Say) -> Iterator[_Place]:
    folder.mkdir()
    folder.chmod(0o711)
    with ScratchCluster(folder / "server", settings=_SETTINGS) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            if connection.info.server_version < SUMMARIZING_MAJOR * 10000:
                raise BenchError(f"only PostgreSQL {SUMMARIZING_MAJOR} or newer can summarize its WAL")
            connection.execute("ALTER SYSTEM SET summarize_wal = on")
            connection.execute("SELECT pg_reload_conf()")
        say(f"making a database of about {bytes_text(size_bytes)}")
        data = make_database(cluster, size_bytes)
        systems = {setting: _system(folder / setting, cluster, setting) for setting in SCAN_SETTINGS}
        place = _Place(cluster, data, systems)
        for setting, system in systems.items():
            say(f"{bytes_text(data.database_bytes)}, {setting}, first run: {_told(_run(place, system))}")
        yield place


def _system(folder: Path, cluster: ScratchCluster, setting: ScanSetting) -> Permafrost:
    system = Permafrost(folder, cluster.conninfo(DATABASE), "log")
    file = system.config_file
    line = f'changed_blocks = "{setting}"'
    chosen, lines = re.subn(r"^changed_blocks = .*$", line, file.read_text(), flags=re.MULTILINE)
    if lines != 1:
        raise BenchError(f"{file} has {lines} lines with changed_blocks")
    file.write_text(chosen)
    return system


def _run(place: _Place, system: Permafrost) -> ScanRun:
    said = []
    took = take(
        lambda: said.append(json.loads(permafrost("backup", f"--config={system.config_file}", "--json").text)),
        server_pid=lambda: place.cluster.pid,
    )
    (document,) = said
    return ScanRun(
        took.wall_s,
        took.cpu_s,
        took.server_cpu_s,
        document["scan"],
        document["scanned_pages"],
        document["total_pages"],
        document["work_s"],
    )


def _told(run: ScanRun) -> str:
    return (
        f"{run.wall_s:.2f} s, CPU {run.cpu_s:.2f} s and {run.server_cpu_s:.2f} s of the server; "
        f"{run.scanned_pages:,} of {run.total_pages:,} pages scanned"
    )
