"""The periods of which a retention keeps one snapshot each: hours, days, ISO weeks and months, in UTC. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol, TypeVar

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


_PERIODS: tuple[tuple[Callable[[PeriodRules], int], Callable[[datetime], tuple[int, ...]]], ...] = (
    (lambda rules: rules.hourly, lambda moment: (moment.year, moment.month, moment.day, moment.hour)),
    (lambda rules: rules.daily, lambda moment: (moment.year, moment.month, moment.day)),
    (lambda rules: rules.weekly, lambda moment: tuple(moment.isocalendar()[:2])),
    (lambda rules: rules.monthly, lambda moment: (moment.year, moment.month)),
)


def first_of_each_period(moments: Iterable[tuple[Key, datetime]], rules: PeriodRules) -> frozenset[Key]:
    """Return the first, in the order given, of each of the newest periods that have one, as many as the rules say.

    Periods without a moment (aware, UTC) do not count.
    """
    moments = tuple(moments)
    kept: set[Key] = set()
    for count, period_of in _PERIODS:
        first: dict[tuple[int, ...], Key] = {}
        for key, moment in moments:
            first.setdefault(period_of(moment), key)
        kept.update(first[period] for period in sorted(first, reverse=True)[: count(rules)])
    return frozenset(kept)
