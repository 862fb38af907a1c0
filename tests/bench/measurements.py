"""Results of benchmarks, made up."""

from __future__ import annotations

from dataclasses import replace

from bench.measuring import Measurement
from bench.results import (
    ChangedBlocks,
    Changes,
    Data,
    Facts,
    Hour,
    LogRuns,
    Minute,
    Minutes,
    OneSize,
    Restored,
    Results,
    Run,
    ScanRestore,
    ScanRun,
    ScanRuns,
    Series,
    Spent,
)

FACTS = Facts("2026-11-23", "python -m bench --size 1", 2, 0.25, {"gpg": "2.2.40"})
DATA = Data(1_060_000_000, 500_000_000, 3_674_841, 673_973)
CHANGES = Changes(rows=10_000, gone=2_100, text_bytes=3_000_000, zstd_bytes=800_000)
FIRST = Run(7.0, 8.0, 180_000_000, 40, 180_000_000, 41, 3_674_841, 0, 120_000_000, 4_000_000)
LATER = Run(1.5, 1.2, 880_000, 5, 880_000, 5, 10_000, 2_100, 110_000_000, 4_500_000)
STILL = Run(1.0, 0.9, 12_000, 3, 12_000, 3, 0, 0, 100_000_000, 4_000_000)
HOURS = tuple(
    Hour(1.0, CHANGES, replace(LATER, wall_s=wall_s, counted_bytes=counted), 20.0, 115, 3_682_000)
    for wall_s, counted in ((1.5, 880_000), (1.6, 1_280_000), (2.5, 960_000))
)
PUBLISHED = (
    Measurement(30.0, 29.0, 200_000_000, 2.0, 70_000_000),
    Measurement(33.0, 29.0, 201_000_000, 3.0, 70_000_000),
    Measurement(26.0, 25.0, 1, 3.0, 70_000_000),
)
LOG = LogRuns(DATA, PUBLISHED, FIRST, (STILL, STILL), HOURS)
ONE_SIZE = OneSize(
    FACTS,
    LOG,
    dump=(Measurement(7.0, 7.0, 187_000_000),) * 3,
    restores=(
        Restored("published set-up", (Measurement(20.0, 4.0, 0),)),
        Restored("pg_dump -Fc, pg_restore -j2, no encryption", (Measurement(15.0, 4.0, 0),)),
        Restored("permafrost, engine log", (Measurement(25.0, 5.0, 0),), 150_000_000),
    ),
)
SMALL = replace(LOG, data=replace(DATA, database_bytes=100_000_000), published=(Measurement(3.0, 3.0, 20_000_000),))
MINUTE = Minute(
    replace(LATER, server_cpu_s=0.6, counted_files=4),
    late_s=0.1,
    elapsed_s=60.0,
    held_s=1.8,
    receipt_s=4.0,
    sent_bytes=30_000,
    spent=Spent(server_s=0.3, server_syncthing_s=0.3, vault_s=0.4, vault_syncthing_s=0.2),
)
MINUTES = Minutes(
    *(FACTS, DATA, 60.0, FIRST),
    (MINUTE, replace(MINUTE, held_s=2.8), replace(MINUTE, receipt_s=None, sent_bytes=31_000)),
    *(4, 4, 115, 3_674_990),
)
SCANNED = ScanRun(1.0, 0.8, 0.1, "changed", 1_000, 10_000, {"scan": 0.1}, 140_000_000)
SCANNED_ALL = replace(SCANNED, scan="all", scanned_pages=10_000, server_cpu_s=0.5)
SCAN_FACTS = replace(FACTS, versions={"PostgreSQL": "17.12"})


def scan_runs(size_bytes: int, facts: Facts | None = SCAN_FACTS) -> tuple[ScanRuns, ScanRuns]:
    """Return what both settings took at a size: an hour 1.1 s and 2 s, the published set-up 30 s for each GB."""
    data, size = replace(DATA, database_bytes=size_bytes), size_bytes / 1e9
    published = Measurement(30.0 * size, 29.0 * size, round(0.2 * size_bytes))
    first = replace(SCANNED_ALL, wall_s=7.0 * size, peak_bytes=160_000_000)
    auto = ScanRuns(data, "auto", (replace(SCANNED, wall_s=1.1),) * 2, (SCANNED,), first, published, None, facts)
    off = ScanRuns(data, "off", (replace(SCANNED_ALL, wall_s=2.0),) * 2, (SCANNED_ALL,), first, published, None, facts)
    return auto, off


_SMALL_AUTO, _SMALL_OFF = scan_runs(100_000_000)
_LARGE_AUTO, _LARGE_OFF = scan_runs(5_000_000_000)
_RESTORED = ScanRestore(60.0, 20.0, 110_000_000, 115, 18_000_000)
CHANGED = ChangedBlocks(SCAN_FACTS, (_SMALL_AUTO, _SMALL_OFF, replace(_LARGE_AUTO, restored=_RESTORED), _LARGE_OFF))
ALL = Results(ONE_SIZE, Series(FACTS, (SMALL, LOG)), Series(FACTS, (LOG, LOG)), minutes=MINUTES, changed_blocks=CHANGED)
