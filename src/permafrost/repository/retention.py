"""Which snapshots to keep (docs/format.md says nothing of it: it is the admin's choice). Pure.

A rule keeps the newest snapshot of each of the last so many periods that have one, in UTC. Periods without a
snapshot do not count, so a server that was off for a month loses nothing by it. The newest is always kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol


class RetentionRules(Protocol):
    """How many of each to keep; permafrost.config.models.Retention is one."""

    @property
    def last(self) -> int: ...  # noqa: D102
    @property
    def hourly(self) -> int: ...  # noqa: D102
    @property
    def daily(self) -> int: ...  # noqa: D102
    @property
    def weekly(self) -> int: ...  # noqa: D102
    @property
    def monthly(self) -> int: ...  # noqa: D102


def snapshots_to_keep(made_at: Iterable[datetime], rules: RetentionRules) -> frozenset[datetime]:
    """Return which of the moments `made_at` (aware, UTC) the rules keep; the newest always is among them."""
    newest_first = sorted(set(made_at), reverse=True)
    kept = set(newest_first[: max(1, rules.last)])
    periods: tuple[tuple[int, Callable[[datetime], tuple[int, ...]]], ...] = (
        (rules.hourly, lambda moment: (moment.year, moment.month, moment.day, moment.hour)),
        (rules.daily, lambda moment: (moment.year, moment.month, moment.day)),
        (rules.weekly, lambda moment: tuple(moment.isocalendar()[:2])),
        (rules.monthly, lambda moment: (moment.year, moment.month)),
    )
    for count, period_of in periods:
        newest_of_period: dict[tuple[int, ...], datetime] = {}
        for moment in newest_first:
            newest_of_period.setdefault(period_of(moment), moment)
        kept.update(list(newest_of_period.values())[:count])
    return frozenset(kept)
