"""Which snapshots to keep (docs/format.md does not cover it: it is the admin's choice). Pure.

A rule keeps the newest snapshot of each of the last N periods that have one, in UTC. Periods without a
snapshot do not count, so a server that was off for a month loses nothing by it. The newest is always kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from permafrost.repository.periods import PeriodRules, first_of_each_period


class RetentionRules(PeriodRules, Protocol):
    """How many of each to keep; permafrost.config.models.Retention is one."""

    @property
    def last(self) -> int: ...  # noqa: D102


def snapshots_to_keep(made_at: Iterable[datetime], rules: RetentionRules) -> frozenset[datetime]:
    """Return which of the moments `made_at` (aware, UTC) the rules keep; the newest always is among them."""
    newest_first = sorted(set(made_at), reverse=True)
    kept = first_of_each_period(((moment, moment) for moment in newest_first), rules)
    return kept.union(newest_first[: max(1, rules.last)])
