"""The rules by which a history is kept: pure, and tried with whatever an attacker or a clock may do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from permafrost.vault.clock import Moment, OwnTime
from permafrost.vault.history import HOUR, may_take, to_keep
from permafrost.vault.settings import History

START = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)
RULES = History()


def _hourly(count: int, start: datetime = START) -> dict[str, datetime]:
    return {f"good-{number}": start + number * HOUR for number in range(count)}


@given(st.lists(st.integers(0, 3599), max_size=200), st.integers(1, 60))
def test_a_burst_pushes_nothing_out_that_a_single_arrival_would_not(seconds: list[int], hours: int) -> None:
    """Whatever comes within an hour, what stays of before is what one snapshot in that hour would have left."""
    good = _hourly(hours)
    hour = (START + hours * HOUR).replace(minute=0)
    junk = {f"junk-{number}": hour + timedelta(seconds=second) for number, second in enumerate(seconds)}
    now = hour + HOUR
    left = to_keep({**good, **junk}, RULES, now) & good.keys()
    assert left >= to_keep({**good, "one": hour}, RULES, now) & good.keys()


@given(st.lists(st.integers(0, 400 * 24), min_size=1, max_size=150, unique=True), st.integers(0, 100_000))
def test_time_alone_drops_little(hours: list[int], later: int) -> None:
    """With nothing new, the newest and the first of each of the last periods stay, however late it gets."""
    arrivals = {str(hour): START + hour * HOUR for hour in hours}
    newest = max(arrivals.values())
    kept = to_keep(arrivals, RULES, newest + later * HOUR)
    assert str(max(hours)) in kept
    days = sorted({moment.date() for moment in arrivals.values()})[-RULES.daily :]
    for day in days:
        first = min(moment for moment in arrivals.values() if moment.date() == day)
        assert any(arrivals[name] == first for name in kept)
    assert len(kept) <= RULES.hourly + RULES.daily + RULES.weekly + RULES.monthly + 1 + RULES.keep_all_hours


@given(st.lists(st.integers(0, 7200), max_size=80))
def test_what_was_taken_stays_for_the_time_promised(seconds: list[int]) -> None:
    """Everything that is younger than `keep_all_hours` stays, whatever came after it."""
    arrivals = {str(number): START + timedelta(seconds=second) for number, second in enumerate(seconds)}
    assert to_keep(arrivals, RULES, START + timedelta(hours=RULES.keep_all_hours - 1)) == arrivals.keys()


def test_a_slow_drip_needs_as_long_as_the_retention() -> None:
    """Junk first in every hour, day after day: a good snapshot of before is still there eleven months later."""
    good = {"good": START}
    junk = {f"junk-{day}": START + timedelta(days=day, minutes=1) for day in range(1, 330)}
    now = START + timedelta(days=330)
    assert "good" in to_keep({**good, **junk}, RULES, now)
    more = {f"junk-{day}": START + timedelta(days=day) for day in range(1, 400)}
    assert "good" not in to_keep({**good, **more}, RULES, START + timedelta(days=400))


def test_only_so_many_an_hour_are_taken() -> None:
    """What was taken within the last hour counts against what may be; what was taken before does not."""
    taken = [START + timedelta(minutes=minute) for minute in range(0, 60, 10)]
    assert may_take(taken, RULES, START + timedelta(minutes=59)) == RULES.admitted_per_hour - 6
    assert may_take(taken, RULES, START + timedelta(minutes=115)) == RULES.admitted_per_hour
    assert may_take(taken * 20, RULES, START + timedelta(minutes=59)) == 0


@given(st.lists(st.tuples(st.integers(0, 86400), st.integers(-(10**9), 10**9)), max_size=30))
def test_own_time_follows_what_passed(steps: list[tuple[int, int]]) -> None:
    """However the machine's clock is set, the vault's own time never goes back, and at most twice as fast."""
    wall, uptime_s = START, 0.0
    own = OwnTime(START, Moment(wall, uptime_s, "boot"))
    for passed_s, jump_s in steps:
        uptime_s += passed_s
        wall += timedelta(seconds=passed_s + jump_s)
        before = own.now
        own = own.at(Moment(wall, uptime_s, "boot"))
        assert timedelta(seconds=passed_s) <= own.now - before <= timedelta(seconds=2 * passed_s)


def test_own_time_while_the_machine_is_off() -> None:
    """A start later, at most a day is believed, and nothing if the clock went back."""
    own = OwnTime(START, Moment(START, 100.0, "first"))
    for off, believed in ((timedelta(hours=3), timedelta(hours=3)), (timedelta(days=3650), timedelta(days=1))):
        assert own.at(Moment(START + off, 5.0, "second")).now - START == believed
    assert own.at(Moment(START - timedelta(days=3650), 5.0, "second")).now == START


def test_a_right_clock_is_caught_up_with() -> None:
    """A vault that was off for a month has the machine's time again after a month at the latest, and stays with it."""
    own = OwnTime(START, Moment(START, 100.0, "first"))
    wall = START + timedelta(days=30)
    own = own.at(Moment(wall, 0.0, "second"))
    for hour in range(1, 31 * 24):
        own = own.at(Moment(wall + hour * HOUR, hour * 3600.0, "second"))
    assert own.now == own.moment.wall
    assert own.jump_to(Moment(own.moment.wall + HOUR / 2, own.moment.uptime_s + 1800, "second")) == timedelta(0)
    assert own.jump_to(Moment(own.moment.wall + 48 * HOUR, own.moment.uptime_s + 1, "second")) > 47 * HOUR
