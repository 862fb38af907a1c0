"""Why a snapshot is kept, and until when, held against what pruning really does later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from permafrost.config.models import Retention
from permafrost.repository.retention import snapshots_to_keep
from permafrost.schedule import Rhythm
from permafrost.status.keeping import reasons

NOW = datetime(2026, 11, 26, 14, 5, tzinfo=UTC)
SIX_HOURLY = Rhythm("2 */6 * * *", UTC)
small = st.integers(0, 3)
rules = st.builds(Retention, last=small, hourly=small, daily=small, weekly=st.integers(0, 2), monthly=st.integers(0, 1))
ages = st.lists(st.integers(0, 40 * 24 * 60), min_size=1, max_size=25)
HORIZON = timedelta(days=100)


@hypothesis_settings(max_examples=40)
@given(ages, rules)
def test_it_goes_when_it_was_said_to_go(minutes: list[int], retention: Retention) -> None:
    """A snapshot is pruned after exactly that backup of the schedule that was named, and by no earlier one."""
    there = snapshots_to_keep({NOW - timedelta(minutes=one) for one in minutes}, retention)
    said = {moment: why.until for moment, why in reasons(sorted(there), retention, SIX_HOURLY, NOW).items()}
    assert said.keys() == there
    kept, moment, gone = set(there), NOW, {}
    while (following := SIX_HOURLY.next_after(moment)) and following < NOW + HORIZON and kept & there:
        moment = following
        after = snapshots_to_keep({*kept, moment}, retention)
        gone.update(dict.fromkeys((kept - after) & there, moment))
        kept = set(after)
    assert gone == {one: until for one, until in said.items() if until is not None and until < NOW + HORIZON}


def test_without_a_schedule() -> None:
    """Where backups are off, the rules are known, and how long they hold is not."""
    (why,) = reasons([NOW], Retention(daily=2), None, NOW).values()
    assert why.rules == ("last", "daily")
    assert why.until is None


def test_numbers_that_no_calendar_has() -> None:
    """A rule that reaches beyond the year 9999 keeps all, until nobody knows when, and takes no time."""
    endless = Retention(**dict.fromkeys(("last", "hourly", "daily", "weekly", "monthly"), 99_991_231))
    (why,) = reasons([NOW], endless, SIX_HOURLY, NOW).values()
    assert why.rules == ("last", "hourly", "daily", "weekly", "monthly")
    assert why.until is None
