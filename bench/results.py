"""What was measured, as it lies beside the document that is made of it: one file, a part for each kind of run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from bench.growth_results import Grown
from bench.limits_results import StepTaken, Way
from bench.measuring import Measurement, Taken
from bench.week_results import Week


@dataclass(frozen=True, slots=True)
class Facts:
    """With what and when it was measured; `load` is the machine's one-minute load average before."""

    date: str
    command: str
    cpus: int
    load: float
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    """The database as it was made; `heap_bytes` are its tables' main forks alone."""

    database_bytes: int
    heap_bytes: int
    rows: int
    statuses: int


@dataclass(frozen=True, slots=True)
class Run:
    """One `permafrost backup` of the log engine.

    `bytes_new` and `files_new` are what it says; in the repository's folder `counted_bytes` appeared or changed,
    and `counted_files` appeared. `peak_bytes` is the most memory that was resident in permafrost's own process,
    `all_peak_bytes` in all programs together. Afterwards the repository held `stored_bytes` in `files`. `work_s` is
    seconds by kind of work, those of workers side by side added up. `scan` is which pages it scanned, "" where that was
    not looked at; `wal_bytes` is what the server's WAL grew by meanwhile, None where that was not looked at.
    """

    wall_s: float
    cpu_s: float
    bytes_new: int
    files_new: int
    counted_bytes: int
    counted_files: int
    rows_new: int
    rows_gone: int
    peak_bytes: int
    state_bytes: int
    server_cpu_s: float = 0.0
    all_peak_bytes: int = 0
    stored_bytes: int = 0
    files: int = 0
    work_s: Mapping[str, float] = field(default_factory=dict)
    scan: Literal["changed", "all", ""] = ""
    wal_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What an hour changed, found without permafrost: new row versions, their COPY text, and that by zstd -3."""

    rows: int
    gone: int
    text_bytes: int
    zstd_bytes: int


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of churn, the run after it, and the restore of its snapshot, found equal in every row."""

    amount: float
    changes: Changes
    run: Run
    restore_s: float
    tables_equal: int
    rows_equal: int


@dataclass(frozen=True, slots=True)
class LogRuns:
    """The log engine's runs on one database, and the published set-up's on the same."""

    data: Data
    published: tuple[Measurement, ...]
    first: Run
    unchanged: tuple[Run, ...]
    hours: tuple[Hour, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """A system's restores of the same backup. `peak_bytes` is of permafrost's own process, None for other systems."""

    name: str
    runs: tuple[Measurement, ...]
    peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SystemRuns:
    """A system's first backup, the one after each hour of the same churn, and its restores, equal in every row."""

    name: str
    first: Taken
    hours: tuple[Taken, ...]
    restores: tuple[Taken, ...]


After = Literal["first", "hour", "unchanged"]


@dataclass(frozen=True, slots=True)
class Carried:
    """What Syncthing sent until the other side held a system's folder as it was after a backup, and the seconds.

    `after` is which backup: the first, one after an hour of churn, or one after nothing.
    """

    after: After
    sent_bytes: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class CarriedRuns:
    """How a system's folder was carried, in order."""

    name: str
    runs: tuple[Carried, ...]


@dataclass(frozen=True, slots=True)
class OneSize:
    """Everything, at one size."""

    facts: Facts
    log: LogRuns
    dump: tuple[Measurement, ...]
    restores: tuple[Restored, ...]
    systems: tuple[SystemRuns, ...] = ()
    carried: tuple[CarriedRuns, ...] = ()
    week: Week | None = None


@dataclass(frozen=True, slots=True)
class Pgbench:
    """The log engine and others on pgbench's database; an hour is so many transactions. Every hour was restored."""

    facts: Facts
    scale: int
    transactions: int
    log: LogRuns
    systems: tuple[SystemRuns, ...]
    carried: tuple[CarriedRuns, ...]


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time, in seconds, of what runs all the time on a server and on a vault, each Syncthing by itself."""

    server_s: float
    server_syncthing_s: float
    vault_s: float
    vault_syncthing_s: float


@dataclass(frozen=True, slots=True)
class Minute:
    """One `permafrost backup` of those that are started on the clock, and the time until the next one.

    It began `late_s` after its turn, because the one before was not over; the next turn came after `elapsed_s`. Since
    it began, `held_s` passed until the vault's Syncthing held the snapshot, `receipt_s` until the vault's receipt
    said so, None if it came too late to be waited for. Syncthing sent `sent_bytes`. The churn until the next turn wrote
    `churn_wal_bytes` of WAL, None where that was not looked at.
    """

    run: Run
    late_s: float
    elapsed_s: float
    held_s: float
    receipt_s: float | None
    sent_bytes: int
    spent: Spent
    churn_wal_bytes: int | None = None

    @property
    def server_share(self) -> float:
        """How much of one core all on the server took: the run, PostgreSQL for it, the service, Syncthing."""
        run = self.run.cpu_s + self.run.server_cpu_s
        return (run + self.spent.server_s + self.spent.server_syncthing_s) / self.elapsed_s

    @property
    def vault_share(self) -> float:
        """How much of one core all on the vault took."""
        return (self.spent.vault_s + self.spent.vault_syncthing_s) / self.elapsed_s


@dataclass(frozen=True, slots=True)
class Minutes:
    """Runs at a fixed pace, carried to a vault; the last snapshot was restored from the vault, equal in every row."""

    facts: Facts
    data: Data
    pause_s: float
    first: Run
    minutes: tuple[Minute, ...]
    snapshots: int
    vault_snapshots: int
    tables_equal: int
    rows_equal: int


@dataclass(frozen=True, slots=True)
class Series:
    """The log engine at several sizes, or with several amounts of churn."""

    facts: Facts
    runs: tuple[LogRuns, ...]


ScanSetting = Literal["auto", "off"]
SCAN_SETTINGS: tuple[ScanSetting, ...] = ("auto", "off")


@dataclass(frozen=True, slots=True)
class ScanRun:
    """A backup of the log engine, and how many pages of how many it scanned. `work_s` and `peak_bytes` as in `Run`.

    `peak_bytes` is 0 where it was not looked at.
    """

    wall_s: float
    cpu_s: float
    server_cpu_s: float
    scan: Literal["changed", "all"]
    scanned_pages: int
    total_pages: int
    work_s: Mapping[str, float]
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ScanRestore:
    """A restore of the newest snapshot, found equal in every row; `peak_bytes` is of permafrost's own process."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    tables_equal: int
    rows_equal: int


@dataclass(frozen=True, slots=True)
class ScanRuns:
    """Runs at one size with one setting of `changed_blocks`: the first, after each hour of churn, and after nothing.

    `published` is the published set-up on the same database. `facts` are this size's own; without them, those of all.
    """

    data: Data
    setting: ScanSetting
    hours: tuple[ScanRun, ...]
    unchanged: tuple[ScanRun, ...]
    first: ScanRun | None = None
    published: Measurement | None = None
    restored: ScanRestore | None = None
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class ChangedBlocks:
    """Runs on servers that summarize their WAL, by size and setting; `facts` are of what was measured last."""

    facts: Facts
    runs: tuple[ScanRuns, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """First backup and restore next to what neither can do without; `steps` are those of each restore of ours."""

    facts: Facts
    data: Data
    ways: tuple[Way, ...]
    steps: tuple[tuple[StepTaken, ...], ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """Commands on one repository as it grows; `data` is the database whose snapshots it keeps."""

    facts: Facts
    data: Data
    runs: tuple[Grown, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """All that the document tells; a part that was not measured yet is None."""

    one_size: OneSize | None = None
    sizes: Series | None = None
    churns: Series | None = None
    pgbench: Pgbench | None = None
    minutes: Minutes | None = None
    changed_blocks: ChangedBlocks | None = None
    limits: Limits | None = None
    growth: Growth | None = None


_FORM = TypeAdapter(Results)


def load_results(file: Path) -> Results:
    """Return what the file holds, nothing if there is none."""
    return _FORM.validate_json(file.read_bytes()) if file.exists() else Results()


def save_results(file: Path, results: Results) -> None:
    """Write the file anew."""
    file.write_bytes(_FORM.dump_json(results, indent=1) + b"\n")
