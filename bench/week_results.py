"""What a week of hours left in each system's repository, with its own retention."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WeekRun:
    """A backup after an hour of the week, counted from 1, with the removal that followed at once, if one did.

    `wall_s` is None if it ran beside another system's backup.
    """

    hour: int
    sent_bytes: int
    stored_bytes: int
    files: int
    wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class SystemWeek:
    """A system's week: the backups that it made, and what it had when what it does not keep was removed.

    `sent_first_bytes` and `wall_first_s` are medians of the backups after the hours before the week, and `wall_last_s`
    is one backup after an hour at its end, alone on the machine; permafrost's times are medians of its first and its
    last day's runs. `prune_s` is how long the removal at the end took.
    """

    name: str
    runs: tuple[WeekRun, ...]
    kept: int
    stored_bytes: int
    files: int
    sent_first_bytes: int
    wall_first_s: float
    wall_last_s: float
    prune_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FileWeek:
    """A system that writes one whole file each hour: how large it was before the week and after it, and its times."""

    name: str
    kept_hours: tuple[int, ...]
    first_bytes: int
    last_bytes: int
    wall_first_s: float
    wall_last_s: float


@dataclass(frozen=True, slots=True)
class WeekRestore:
    """A snapshot of permafrost's that was restored after the week, made after this hour of it, None before it.

    `rows_equal` is None if it could not be compared, as the source has gone on since.
    """

    hour: int | None
    wall_s: float
    rows_equal: int | None = None


@dataclass(frozen=True, slots=True)
class Week:
    """A simulated week: permafrost first among the systems."""

    hours: int
    database_first_bytes: int
    database_last_bytes: int
    systems: tuple[SystemWeek, ...]
    files: tuple[FileWeek, ...]
    restores: tuple[WeekRestore, ...]
