"""The last weeks hour by hour: in which a backup was made, is still kept, was proven, failed, or should have been made.

Rules:
1. An hour in which the schedule names a moment is a gap if no backup that was done started from that moment up to the
   next hour in which it names one. Nothing is a gap before the first recorded run, or in the running hour.
2. What prune has removed was made all the same: the records know it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import Enum
from itertools import pairwise

from cronsim import CronSim

from permafrost.schedule import Rhythm

DAYS = 31
_FEWEST_DAYS = 7
_HOUR = timedelta(hours=1)
_EARLY = timedelta(minutes=5)


class Hour(Enum):
    """What is known of an hour."""

    NOTHING = "nothing"
    """Nothing was due, or nothing is known."""
    MADE = "made"
    """A backup was made, and has been pruned since."""
    KEPT = "kept"
    """A snapshot of it is kept."""
    PROVEN = "proven"
    """A snapshot of it is kept, and a restore has proven it."""
    GAP = "gap"
    """A backup was due, and none was made."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day, by the clock of the zone, and its 24 hours; a change of the clock puts two hours into one, or leaves one
    out.
    """

    day: date
    hours: tuple[Hour, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Hours without a backup, one after the other: from the first moment at which one was due to the last."""

    first: datetime
    last: datetime
    missing: int


@dataclass(frozen=True, slots=True)
class Hours:
    """The days, the newest first, and the gaps in them, the newest first."""

    days: tuple[Day, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """Moments (aware): of backups that were made, of snapshots that are kept, and of those that are proven."""

    made: Sequence[datetime]
    kept: Sequence[datetime]
    proven: Sequence[datetime]


def hours_of(seen: Made, rhythm: Rhythm | None, began: datetime | None, now: datetime, zone: tzinfo) -> Hours:
    """Return the last 31 days, or fewer where nothing is known of the first ones.

    `began` is when records begin (None: there are none), `rhythm` that of backups (None: they are off).
    """
    start = _midnight(now, zone) - timedelta(days=DAYS - 1)
    marks: dict[tuple[date, int], Hour] = {}
    for hour, moments in ((Hour.MADE, seen.made), (Hour.KEPT, seen.kept), (Hour.PROVEN, seen.proven)):
        for moment in moments:
            marks[_place(moment, zone)] = hour
    missed = list(_missed(seen, rhythm, max(start, began), now)) if rhythm is not None and began is not None else []
    for moment in missed:
        marks.setdefault(_place(moment, zone), Hour.GAP)
    today = now.astimezone(zone).date()
    oldest = min((day for day, _ in marks), default=today)
    shown = min(DAYS, max(_FEWEST_DAYS, (today - oldest).days + 1))
    days = (today - timedelta(days=number) for number in range(shown))
    return Hours(
        tuple(Day(day, tuple(marks.get((day, hour), Hour.NOTHING) for hour in range(24))) for day in days),
        tuple(reversed(list(_gaps(missed)))),
    )


def due_hours(rhythm: Rhythm, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the first moment that the rhythm names in each hour between the two that has one."""
    after = (start - timedelta(seconds=1)).astimezone(rhythm.zone)
    while True:
        moment = next(CronSim(rhythm.expression, after), None)
        if moment is None or moment >= end:
            return
        yield moment
        # on with the next hour: of a rhythm by the minute, sixty moments would have to be passed one by one
        after = moment.replace(minute=59, second=59, microsecond=0)


def _missed(seen: Made, rhythm: Rhythm, start: datetime, now: datetime) -> Iterator[datetime]:
    done = sorted({*seen.made, *seen.kept})
    due = list(due_hours(rhythm, start, now))
    for moment, following in pairwise(due):
        at = bisect_left(done, moment - _EARLY)
        if at == len(done) or done[at] >= following - _EARLY:
            yield moment


def _gaps(missed: Iterable[datetime]) -> Iterator[Gap]:
    """Yield runs of hours that follow each other."""
    first = last = None
    count = 0
    for moment in missed:
        if first is not None and last is not None and moment - last <= _HOUR:
            last, count = moment, count + 1
            continue
        if first is not None and last is not None:
            yield Gap(first, last, count)
        first = last = moment
        count = 1
    if first is not None and last is not None:
        yield Gap(first, last, count)


def _place(moment: datetime, zone: tzinfo) -> tuple[date, int]:
    local = moment.astimezone(zone)
    return local.date(), local.hour


def _midnight(now: datetime, zone: tzinfo) -> datetime:
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
