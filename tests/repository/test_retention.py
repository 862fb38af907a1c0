"""Retention, as properties that must hold for any set of snapshots and any rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from permafrost.config.models import Retention
from permafrost.repository.retention import snapshots_to_keep

moments = st.integers(0, 10 * 366 * 86400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
many = st.lists(moments, max_size=60)
counts = st.integers(0, 10)
rules = st.builds(Retention, last=counts, hourly=counts, daily=counts, weekly=counts, monthly=counts)


@given(many, rules)
def test_keeps_only_what_is_there_and_always_the_newest(there: list[datetime], retention: Retention) -> None:
    """What is kept was there; the newest is kept whatever the rules say."""
    kept = snapshots_to_keep(there, retention)
    assert kept <= set(there)
    assert not there or max(there) in kept


@given(many, rules)
def test_pruning_twice_removes_nothing_more(there: list[datetime], retention: Retention) -> None:
    """What was kept once is kept again."""
    kept = snapshots_to_keep(there, retention)
    assert snapshots_to_keep(kept, retention) == kept


@given(many, rules, counts)
def test_more_generous_rules_keep_more(there: list[datetime], retention: Retention, more: int) -> None:
    """Raising a count never loses a snapshot."""
    generous = retention.model_copy(update={"daily": retention.daily + more, "last": retention.last + more})
    assert snapshots_to_keep(there, retention) <= snapshots_to_keep(there, generous)


@given(many, st.integers(1, 10))
def test_last_keeps_the_newest(there: list[datetime], count: int) -> None:
    """`last` alone keeps exactly the newest so many."""
    assert snapshots_to_keep(there, Retention(last=count)) == set(sorted(set(there))[-count:])


@given(many, st.integers(1, 10))
def test_each_kept_day_keeps_its_newest(there: list[datetime], count: int) -> None:
    """`daily` alone keeps the newest of each of the last so many days that have one."""
    days = sorted({moment.date() for moment in there})[-count:]
    expected = {max(moment for moment in there if moment.date() == day) for day in days}
    assert snapshots_to_keep(there, Retention(daily=count)) == expected


@given(many, rules, moments)
def test_an_older_snapshot_pushes_nothing_out(there: list[datetime], retention: Retention, older: datetime) -> None:
    """A snapshot older than all others never pushes one of them out."""
    if there and older < min(there):
        assert snapshots_to_keep(there, retention) <= snapshots_to_keep([*there, older], retention)


def test_a_year_of_hours() -> None:
    """The default rules keep 6 + 24 + 7 + 4 + 6 snapshots at most, and reach back as far as they say."""
    start = datetime(2026, 1, 1, 0, 40, tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(24 * 365)]
    kept = snapshots_to_keep(hours, Retention(last=6, hourly=24, daily=7, weekly=4, monthly=6))
    assert len(kept) <= 6 + 24 + 7 + 4 + 6
    assert min(kept) == datetime(2026, 7, 31, 23, 40, tzinfo=UTC)
    assert hours[-24:] == sorted(kept)[-24:]
