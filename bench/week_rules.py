"""What a week is: its moments, which backups are left at its end, and what is computed of it, not measured. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bench.week_results import FileWeek, SystemWeek
from permafrost.config.models import Retention
from permafrost.repository.retention import snapshots_to_keep

RETENTION = Retention(hourly=24, daily=7)
VERSIONS = 7
"""How many files of the published set-up there are: the newest one, and the six versions of it that a vault keeps."""


def moments_of_week(now: datetime, hours: int) -> tuple[datetime, ...]:
    """Return the moments of so many hourly backups: from the first midnight after `now` on, in UTC.

    So a week has seven whole days, and every name that a system makes of these moments is newer than those it has.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return tuple(midnight + timedelta(hours=hour) for hour in range(hours))


def hours_kept(moments: Sequence[datetime], retention: Retention) -> tuple[int, ...]:
    """Return the numbers, from 1, of the hours whose backups are still kept when the last one was made."""
    kept = snapshots_to_keep(moments, retention)
    return tuple(hour for hour, moment in enumerate(moments, 1) if moment in kept)


def is_estimate(one: SystemWeek, hours: int) -> bool:
    """Return whether the system did not run each hour, so that what it sent in the week is not known."""
    return len(one.runs) < hours


def sent_in_week(one: SystemWeek, hours: int) -> int:
    """Return the bytes that a system sent: their sum, or else an estimate.

    The estimate is the hours times the mean of a usual hour before the week and a usual one at its end: the database
    grows evenly. At the end only backups count that follow another by an hour; one after a day sends more.
    """
    if not is_estimate(one, hours):
        return sum(run.sent_bytes for run in one.runs)
    made = {run.hour for run in one.runs}
    hourly = [run.sent_bytes for run in one.runs if run.hour - 1 in made]
    last = statistics.median(hourly or [run.sent_bytes for run in one.runs])
    return round(hours * (one.sent_first_bytes + last) / 2)


def file_stored(one: FileWeek, hours: int) -> int:
    """Return the bytes of the files that are kept, if they grew evenly."""
    return sum(_file_bytes(one, hours, hour) for hour in one.kept_hours)


def file_sent(one: FileWeek, hours: int) -> int:
    """Return the bytes of a new file each hour, if they grew evenly."""
    return sum(_file_bytes(one, hours, hour) for hour in range(1, hours + 1))


def newest_hours(hours: int, count: int) -> tuple[int, ...]:
    """Return the last so many hours; those before the week are called 0 and less."""
    return tuple(range(hours - count + 1, hours + 1))


def _file_bytes(one: FileWeek, hours: int, hour: int) -> int:
    return one.first_bytes + round((one.last_bytes - one.first_bytes) * max(0, hour) / hours)
