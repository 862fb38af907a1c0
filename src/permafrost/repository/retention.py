"""Which snapshots to keep (docs/format.md does not cover it: it is the admin's choice). Pure.

A rule keeps the newest snapshot of each of the last N periods that have one, in UTC. Periods without a
snapshot do not count, so a server that was off for a month loses nothing by it. The newest is always kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol

from permafrost.repository.periods import PeriodName, PeriodRules, first_by_period

RuleName = Literal["last"] | PeriodName


class RetentionRules(PeriodRules, Protocol):
    """How many of each to keep; permafrost.config.models.Retention is one."""

    @property
    def last(self) -> int: ...  # noqa: D102


def snapshots_to_keep(made_at: Iterable[datetime], rules: RetentionRules) -> frozenset[datetime]:
    """Return which of the moments `made_at` (aware, UTC) the rules keep; the newest always is among them."""
    return frozenset(rules_that_keep(made_at, rules))


def rules_that_keep(made_at: Iterable[datetime], rules: RetentionRules) -> dict[datetime, tuple[RuleName, ...]]:
    """Return the moments (aware, UTC) that are kept, and the rules that keep each.

    The newest is kept by `last`, even if that is 0.
    """
    newest_first = sorted(set(made_at), reverse=True)
    by_rule: dict[RuleName, frozenset[datetime]] = {"last": frozenset(newest_first[: max(1, rules.last)])}
    by_period = first_by_period(((moment, moment) for moment in newest_first), rules)
    by_rule.update((name, moments) for name, moments in by_period.items())
    kept: dict[datetime, tuple[RuleName, ...]] = {}
    for name, moments in by_rule.items():
        for moment in moments:
            kept[moment] = (*kept.get(moment, ()), name)
    return kept
