"""Which snapshots a vault takes into its history, and which it drops. Pure.

A server that was broken into has the signing key: what it sends may be junk with a good signature, and a vault
cannot tell, since it can read nothing. It can only see to it that what is junk never costs what came before it:

- Everything is judged by when it arrived, in the vault's own time (clock.py), never by what the server says.
- What is taken stays for `keep_all_hours`, and only a limited number an hour is taken. A burst therefore displaces
  nothing.
- After that, the first arrival of each of the last N hours, days, weeks and months stays. The first: what
  comes later in the same period cannot take its place. A period is displaced by a later one in which something
  arrived, so time has to pass for it.
- The newest that was taken always stays.

So whoever holds the server can push a snapshot out only by sending junk for as long as the retention lasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from permafrost.repository.periods import PeriodRules, first_of_each_period

HOUR = timedelta(hours=1)
Key = TypeVar("Key")


class HistoryRules(PeriodRules, Protocol):
    """How long to keep what; permafrost.vault.settings.History is one."""

    @property
    def keep_all_hours(self) -> int: ...  # noqa: D102
    @property
    def admitted_per_hour(self) -> int: ...  # noqa: D102


def to_keep(arrivals: Mapping[Key, datetime], rules: HistoryRules, now: datetime) -> frozenset[Key]:
    """Return which of the verified snapshots that arrived then (the vault's own time, UTC) stay at `now`."""
    oldest_first = sorted(arrivals.items(), key=lambda item: item[1])
    if not oldest_first:
        return frozenset()
    kept = {oldest_first[-1][0]}
    kept.update(key for key, arrived in oldest_first if now - arrived < timedelta(hours=rules.keep_all_hours))
    kept.update(first_of_each_period(oldest_first, rules))
    return frozenset(kept)


def may_take(taken_at: Sequence[datetime], rules: HistoryRules, now: datetime) -> int:
    """Return how many more snapshots may be taken at `now`, when those were taken then; dropped ones count too."""
    return max(0, rules.admitted_per_hour - sum(now - moment < HOUR for moment in taken_at))
