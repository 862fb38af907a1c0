"""When a job is due. A pure function of cron expressions, the clock and the run records.

What has been done is in the run records, so a service that was killed, or a machine that was off, continues where it
was. Rules:

1. A job is due when its expression names a moment after its last run ended, up to now. However many such moments
   there are, it is due once; those in between were missed.
2. A run that a signal or a crash cut short does not count as one.
3. A backup that was never made is due at once. An audit or a drill waits for its moment, counted from `since`.
4. A last run in the future was recorded by a wrong clock: the job is due at once.
5. An audit is a backup too, and comes first, so that no other is due after it. A drill comes last.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim

from permafrost.config.models import Schedule

JobName = Literal["audit", "backup", "drill"]
ORDER: tuple[JobName, ...] = ("audit", "backup", "drill")
CLOCK_TOLERANCE = timedelta(minutes=1)
COUNTED_AT_MOST = 10_000
_SHORTEST_GRACE, _LONGEST_GRACE = timedelta(minutes=10), timedelta(hours=2)
_LOCALTIME = Path("/etc/localtime")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The moments that a cron expression names, in a zone's local time. All moments here are in UTC.

    At the change to summer time a fixed time of day that is left out comes at the change, and at the change back one
    that comes twice counts once; expressions with `*` for minute or hour go by what has passed, as in Debian's cron.
    """

    expression: str
    zone: tzinfo

    def newest(self, moment: datetime) -> datetime | None:
        """Return the newest of them at or before `moment`, None if there is none in reach."""
        local = moment.astimezone(self.zone)
        # CronSim leaves out the moment that it starts from, unless there is a fraction of a second to drop
        local = local.replace(microsecond=local.microsecond or 1)
        return _utc(next(CronSim(self.expression, local, reverse=True), None))

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield those after `moment`, as far as they are in reach."""
        return (named.astimezone(UTC) for named in CronSim(self.expression, moment.astimezone(self.zone)))

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first of them after `moment`, None if there is none in reach."""
        return next(self.after(moment), None)

    def count(self, after: datetime, until: datetime) -> int:
        """Return how many there are after `after` and up to `until`, at most `COUNTED_AT_MOST`."""
        up_to = takewhile(lambda moment: moment <= until, self.after(after))
        return sum(1 for _ in islice(up_to, COUNTED_AT_MOST))


@dataclass(frozen=True, slots=True)
class Due:
    """A job that is due since `slot`; `missed` earlier moments after `since`, its last run, have passed without it."""

    job: JobName
    slot: datetime
    since: datetime
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Calendar:
    """The schedule: the rhythms of the jobs that are not off."""

    rhythms: Mapping[JobName, Rhythm]

    def due(self, now: datetime, last: Mapping[JobName, datetime | None], since: datetime) -> tuple[Due, ...]:
        """Return the jobs that are due, in the order in which to do them; `last` is when each last ended."""
        found = (self._due(job, now, last.get(job), since) for job in ORDER)
        return tuple(due for due in found if due is not None)

    def _due(self, job: JobName, now: datetime, last: datetime | None, since: datetime) -> Due | None:
        rhythm = self.rhythms.get(job)
        if rhythm is None:
            return None
        if last is None and job == "backup":
            return Due(job, now, now)
        reference = min(since, now) if last is None else last
        if reference > now + CLOCK_TOLERANCE:
            return Due(job, now, now)
        slot = rhythm.newest(now)
        if slot is None or slot <= reference:
            return None
        return Due(job, slot, reference, rhythm.count(reference, slot) - 1)

    def next(self, now: datetime) -> tuple[datetime, JobName] | None:
        """Return when the next job comes, and which, None if everything is off."""
        coming = [(moment, job) for job in ORDER if (moment := self.next_of(job, now)) is not None]
        return min(coming, key=lambda one: one[0], default=None)

    def next_of(self, job: JobName, now: datetime) -> datetime | None:
        """Return when that job comes next, None if it is off."""
        rhythm = self.rhythms.get(job)
        return rhythm.next_after(now) if rhythm else None

    def overdue_since(self, job: JobName, done: datetime, now: datetime) -> datetime | None:
        """Return the first moment after `done` at which the job should have run, if that is too long ago.

        Two of its intervals are let pass, but at least ten minutes and at most two hours.
        """
        rhythm = self.rhythms.get(job)
        first = rhythm.next_after(done) if rhythm else None
        second = rhythm.next_after(first) if rhythm and first else None
        if first is None or second is None:
            return None
        grace = min(_LONGEST_GRACE, max(_SHORTEST_GRACE, 2 * (second - first)))
        return first if now - first > grace else None


def calendar_of(schedule: Schedule, zone: tzinfo) -> Calendar:
    """Return the calendar of the configured schedule."""
    expressions: dict[JobName, str] = {"backup": schedule.backup, "audit": schedule.audit, "drill": schedule.drill}
    return Calendar({job: Rhythm(text, zone) for job, text in expressions.items() if text != "off"})


def local_zone() -> tzinfo:
    """Return the machine's time zone with its changes: that of $TZ, else of /etc/localtime, else UTC.

    A $TZ that is neither a zone's name nor a file is taken by its present distance from UTC.
    """
    named = os.environ.get("TZ", "").removeprefix(":")
    try:
        if named and not named.startswith("/"):
            return ZoneInfo(named)
        with Path(named or _LOCALTIME).open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, KeyError):
        return (datetime.now(UTC).astimezone().tzinfo if named else None) or UTC


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
