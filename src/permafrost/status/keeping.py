"""Why each snapshot is kept, and until when: the rules of [retention], and the backups that the schedule will make.

A snapshot loses a rule when a newer one takes its place in the same period, or when so many later periods have one that
the rule no longer reaches back. Both depend on backups to come, so the answer holds if the schedule is followed; where
backups are off, nobody knows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from permafrost.repository.periods import PERIODS, PeriodName, period_of
from permafrost.repository.retention import RetentionRules, RuleName, rules_that_keep
from permafrost.schedule import Rhythm

_MOMENT = timedelta(seconds=1)
_MOST_FORESEEN = 2000
"""Backups that are foreseen for a rule: more than a person plans with, and a configuration may say any number."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Which rules keep a snapshot, and until about when; None where nobody can know."""

    rules: tuple[RuleName, ...]
    until: datetime | None


class Forecast:
    """The backups that a rhythm will make after `now`, as far as each rule reaches."""

    def __init__(self, rhythm: Rhythm, rules: RetentionRules, now: datetime) -> None:
        self._rhythm = rhythm
        self._now = now
        self.next = list(self._moments(max(1, rules.last)))
        self.periods: dict[PeriodName, list[datetime]] = {
            name: list(self._first_moments(name, getattr(rules, name) + 1)) for name in PERIODS
        }

    def _moments(self, count: int) -> Iterator[datetime]:
        moment: datetime | None = self._now
        for _ in range(min(count, _MOST_FORESEEN)):
            moment = self._rhythm.next_after(moment) if moment else None
            if moment is None:
                return
            yield moment

    def _first_moments(self, name: PeriodName, count: int) -> Iterator[datetime]:
        """Yield the first backup of each of the next periods; first of all the next one, whatever its period."""
        moment = self._rhythm.next_after(self._now)
        for _ in range(min(count, _MOST_FORESEEN)):
            if moment is None:
                return
            yield moment
            moment = self._rhythm.next_after(_last_moment(name, moment))


def reasons(
    made_at: Sequence[datetime], rules: RetentionRules, rhythm: Rhythm | None, now: datetime
) -> dict[datetime, Kept]:
    """Return why each of the moments (aware, UTC) is kept, and until when; those that no rule keeps are left out."""
    kept = rules_that_keep(made_at, rules)
    if rhythm is None:
        return {moment: Kept(names, None) for moment, names in kept.items()}
    forecast = Forecast(rhythm, rules, now)
    ordered = sorted(set(made_at))
    found = {}
    for moment, names in kept.items():
        ends = [_end(moment, name, ordered, rules, forecast) for name in names]
        found[moment] = Kept(names, None if None in ends else max(end for end in ends if end is not None))
    return found


def _end(
    moment: datetime, rule: RuleName, ordered: Sequence[datetime], rules: RetentionRules, forecast: Forecast
) -> datetime | None:
    if rule == "last":
        left = max(1, rules.last) - (len(ordered) - bisect_right(ordered, moment))
        return _nth(forecast.next, left)
    own = period_of(rule, moment)
    coming = forecast.periods[rule]
    if coming and period_of(rule, coming[0]) == own:
        return coming[0]
    later = {period_of(rule, other) for other in ordered[bisect_right(ordered, moment) :]} - {own}
    new = [first for first in coming if period_of(rule, first) not in later]
    return _nth(new, getattr(rules, rule) - len(later))


def _nth(moments: Sequence[datetime], number: int) -> datetime | None:
    return moments[number - 1] if 0 < number <= len(moments) else None


def _last_moment(name: PeriodName, moment: datetime) -> datetime:
    """Return the last second of the period in which the moment lies."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match name:
        case "hourly":
            end = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        case "daily":
            end = day + timedelta(days=1)
        case "weekly":
            end = day + timedelta(days=8 - day.isoweekday())
        case "monthly":
            end = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return end - _MOMENT
