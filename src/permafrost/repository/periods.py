"""The periods of which a retention keeps one snapshot each: hours, days, ISO weeks and months, in UTC. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Literal, Protocol, TypeVar

Key = TypeVar("Key")


class PeriodRules(Protocol):
    """Of how many periods of each length one is kept."""

    @property
    def hourly(self) -> int: ...  # noqa: D102
    @property
    def daily(self) -> int: ...  # noqa: D102
    @property
    def weekly(self) -> int: ...  # noqa: D102
    @property
    def monthly(self) -> int: ...  # noqa: D102


PeriodName = Literal["hourly", "daily", "weekly", "monthly"]
_PERIODS: Mapping[PeriodName, tuple[Callable[[PeriodRules], int], Callable[[datetime], tuple[int, ...]]]] = {
    "hourly": (lambda rules: rules.hourly, lambda moment: (moment.year, moment.month, moment.day, moment.hour)),
    "daily": (lambda rules: rules.daily, lambda moment: (moment.year, moment.month, moment.day)),
    "weekly": (lambda rules: rules.weekly, lambda moment: tuple(moment.isocalendar()[:2])),
    "monthly": (lambda rules: rules.monthly, lambda moment: (moment.year, moment.month)),
}
PERIODS: tuple[PeriodName, ...] = tuple(_PERIODS)


def period_of(name: PeriodName, moment: datetime) -> tuple[int, ...]:
    """Return the period of that length in which a moment (aware, UTC) lies; later periods are greater."""
    return _PERIODS[name][1](moment)


def first_by_period(moments: Iterable[tuple[Key, datetime]], rules: PeriodRules) -> Mapping[PeriodName, frozenset[Key]]:
    """Return the first, in the order given, of each of the newest periods that have one, by the length of the period.

    There are as many of each as the rules say. Periods without a moment (aware, UTC) do not count.
    """
    moments = tuple(moments)
    kept = {}
    for name, (count, period) in _PERIODS.items():
        first: dict[tuple[int, ...], Key] = {}
        for key, moment in moments:
            first.setdefault(period(moment), key)
        kept[name] = frozenset(first[start] for start in sorted(first, reverse=True)[: count(rules)])
    return kept


def first_of_each_period(moments: Iterable[tuple[Key, datetime]], rules: PeriodRules) -> frozenset[Key]:
    """Return those that `first_by_period` names for any length."""
    return frozenset().union(*first_by_period(moments, rules).values())
