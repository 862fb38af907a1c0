"""What a backup costs on a server that summarizes its WAL, with `changed_blocks` on and off, at several sizes.

At each size there is one server with two repositories, and the published set-up backs it up once, unless the size is
above a limit. After each hour of churn, both back up, then both once more with nothing changed. The sizes take turns,
hour by hour, so that whatever else the machine does affects all of them alike; where the disk has no room for that, one
is measured after the other. At the largest size the newest snapshot is restored, and compared in every row.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.data import DATABASE, make_database
from bench.hours import Say, Servers, live_as_mastodon, restore_and_compare
from bench.measuring import Measurement, take
from bench.programs import BenchError, permafrost
from bench.results import SCAN_SETTINGS, ChangedBlocks, Data, Facts, ScanRestore, ScanRun, ScanRuns, ScanSetting
from bench.systems import Permafrost, PublishedSetup
from permafrost.amounts import bytes_text
from permafrost.openpgp.home import temporary_home
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.postgres.version import SUMMARIZING_MAJOR

PUBLISHED_UP_TO_BYTES = 10_000_000_000
_SETTINGS = {"autovacuum": "off"}
_SOURCE_SETTINGS = {**_SETTINGS, "full_page_writes": "on"}
_PARTS = 1.6  # of a database: itself, two repositories of 0.17 each, the last of its hours' growth
_WAL_BYTES = 2_500_000_000  # max_wal_size of a scratch server, and what is beyond it before a checkpoint ends


@dataclass(frozen=True, slots=True)
class _Place:
    """A server with a database of a size, the two systems that back it up, by `changed_blocks`, and what they took."""

    servers: Servers
    data: Data
    systems: Mapping[ScanSetting, Permafrost]
    published: Measurement | None
    taken: Mapping[tuple[ScanSetting, str], list[ScanRun]]

    def run(self, setting: ScanSetting, kind: str, say: Say) -> None:
        """Make a backup, and note what it took."""
        run = _run(self.servers, self.systems[setting])
        self.taken[setting, kind].append(run)
        say(f"{bytes_text(self.data.database_bytes)}, {setting}, {kind}: {_told(run)}")

    def measured(self, facts: Facts, restored: ScanRestore | None) -> list[ScanRuns]:
        """Return what each setting took; what was restored was the snapshot of the first."""
        return [
            ScanRuns(
                *(self.data, setting, tuple(self.taken[setting, "hour"]), tuple(self.taken[setting, "unchanged"])),
                *(self.taken[setting, "first"][0], self.published),
                restored if setting == SCAN_SETTINGS[0] else None,
                facts,
            )
            for setting in SCAN_SETTINGS
        ]


def measure_changed_blocks(
    folder: Path,
    facts: Facts,
    sizes_bytes: Sequence[int],
    hours: int,
    say: Say,
    *,
    published_up_to_bytes: int = PUBLISHED_UP_TO_BYTES,
) -> ChangedBlocks:
    """Measure both settings at each size, the published set-up up to a size, and a restore of the largest.

    Raise `BenchError` if PostgreSQL is too old for it, a restored row differs, or the disk has no room.
    """
    runs: list[ScanRuns] = []
    for number, group in enumerate(_beside_each_other(sizes_bytes, shutil.disk_usage(folder).free, say)):
        place = folder / f"sizes-{number}"
        place.mkdir()
        place.chmod(0o711)
        runs += _measure_group(place, facts, group, hours, say, published_up_to_bytes, max(sizes_bytes))
    return ChangedBlocks(facts, tuple(runs))


def needed_bytes(sizes_bytes: Sequence[int]) -> int:
    """Return about how much disk is needed to measure these sizes beside each other, and to restore the largest."""
    return round(sum(_PARTS * size + _WAL_BYTES for size in sizes_bytes) + max(sizes_bytes) + _WAL_BYTES)


def _beside_each_other(sizes_bytes: Sequence[int], free_bytes: int, say: Say) -> list[Sequence[int]]:
    """Return the sizes that are measured in turn: all, or each by itself if there is no room for all."""
    most = max(needed_bytes([size]) for size in sizes_bytes)
    if most > free_bytes:
        raise BenchError(
            f"{bytes_text(max(sizes_bytes))} need about {bytes_text(most)} of disk, and {bytes_text(free_bytes)} are "
            "free where temporary files are; nothing was measured: set TMPDIR to a larger disk"
        )
    if needed_bytes(sizes_bytes) <= free_bytes:
        return [sizes_bytes]
    say(f"all sizes beside each other need about {bytes_text(needed_bytes(sizes_bytes))}: one after the other")
    return [[size] for size in sizes_bytes]


def _measure_group(
    folder: Path,
    facts: Facts,
    sizes_bytes: Sequence[int],
    hours: int,
    say: Say,
    published_up_to_bytes: int,
    restored_size_bytes: int,
) -> list[ScanRuns]:
    with ExitStack() as stack:
        places = [
            stack.enter_context(_place(folder / f"size-{n}", size, say, with_published=size <= published_up_to_bytes))
            for n, size in enumerate(sizes_bytes)
        ]
        for number in range(hours):
            for place in places:
                live_as_mastodon(place.servers.conninfo, number, 1.0)
                for setting in SCAN_SETTINGS:
                    place.run(setting, "hour", say)
                    place.run(setting, "unchanged", say)
        runs: list[ScanRuns] = []
        for size, place in zip(sizes_bytes, places, strict=True):
            restored = _restored(place, say) if size == restored_size_bytes else None
            runs += place.measured(facts, restored)
        return runs


@contextmanager
def _place(folder: Path, size_bytes: int, say: Say, *, with_published: bool) -> Iterator[_Place]:
    folder.mkdir()
    folder.chmod(0o711)
    target = ScratchCluster(folder / "target", settings=_SETTINGS)  # not started before something is restored
    with ScratchCluster(folder / "server", settings=_SOURCE_SETTINGS) as cluster:
        servers = Servers(cluster, target, DATABASE)
        if not servers.summarize_wal():
            raise BenchError(f"only PostgreSQL {SUMMARIZING_MAJOR} or newer can summarize its WAL")
        say(f"making a database of about {bytes_text(size_bytes)}")
        data = make_database(cluster, size_bytes)
        servers.summarize_wal()  # what loading it wrote, which nobody is to wait for
        published = _published(folder / "published", servers, say) if with_published else None
        systems = {setting: _system(folder / setting, cluster, setting) for setting in SCAN_SETTINGS}
        place = _Place(servers, data, systems, published, defaultdict(list))
        for setting in SCAN_SETTINGS:
            place.run(setting, "first", say)
        yield place


def _published(folder: Path, servers: Servers, say: Say) -> Measurement:
    """Let the published set-up make a backup, and remove it."""
    sizes: list[int] = []
    with temporary_home() as gpg_home:
        system = PublishedSetup(folder, servers.conninfo, gpg_home, servers.major)
        took = take(lambda: sizes.append(system.first()), server_pid=lambda: servers.source.pid)
    shutil.rmtree(folder)
    say(f"{system.name}: {took.wall_s:.1f} s, CPU {took.cpu_s:.1f} s, {bytes_text(sizes[0])}")
    return Measurement(took.wall_s, took.cpu_s, sizes[0], took.server_cpu_s, took.peak_bytes)


def _restored(place: _Place, say: Say) -> ScanRestore:
    """Restore the newest snapshot to another server, compare every row, and return what the restore took."""
    system = place.systems[SCAN_SETTINGS[0]]
    with place.servers.target:
        place.servers.make_owner()
        took, tables, rows = restore_and_compare(place.servers, system)
    peak = system.restore_peak_bytes
    size = bytes_text(place.data.database_bytes)
    say(f"{size}, restored in {took.wall_s:.1f} s, peak {bytes_text(peak)}, {rows:,} rows in {tables} tables equal")
    return ScanRestore(took.wall_s, took.cpu_s, peak, tables, rows)


def _system(folder: Path, cluster: ScratchCluster, setting: ScanSetting) -> Permafrost:
    system = Permafrost(folder, cluster.conninfo(DATABASE), "log")
    file = system.config_file
    line = f'changed_blocks = "{setting}"'
    chosen, lines = re.subn(r"^changed_blocks = .*$", line, file.read_text(), flags=re.MULTILINE)
    if lines != 1:
        raise BenchError(f"{file} has {lines} lines with changed_blocks")
    file.write_text(chosen)
    return system


def _run(servers: Servers, system: Permafrost) -> ScanRun:
    said = []
    took = take(
        lambda: said.append(permafrost("backup", f"--config={system.config_file}", "--json")),
        server_pid=lambda: servers.source.pid,
    )
    document = json.loads(said[0].text)
    return ScanRun(
        took.wall_s,
        took.cpu_s,
        took.server_cpu_s,
        document["scan"],
        document["scanned_pages"],
        document["total_pages"],
        document["work_s"],
        said[0].peak_bytes,
    )


def _told(run: ScanRun) -> str:
    return (
        f"{run.wall_s:.2f} s, CPU {run.cpu_s:.2f} s and {run.server_cpu_s:.2f} s of the server; "
        f"{run.scanned_pages:,} of {run.total_pages:,} pages scanned; peak {bytes_text(run.peak_bytes)}"
    )
