"""When a job is due, of all clocks, kills and expressions. Nothing waits here: the clock is handed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from permafrost.config.models import Schedule
from permafrost.schedule import Calendar, Due, JobName, Rhythm, calendar_of, local_zone

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 12, 50, tzinfo=UTC)
HOURLY, MINUTELY = "40 * * * *", "* * * * *"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def calendar(backup: str = HOURLY, audit: str = "off", drill: str = "off") -> Calendar:
    """Return a calendar in Berlin's time."""
    return calendar_of(Schedule(backup=backup, audit=audit, drill=drill), BERLIN)


def followed(
    what: Calendar, ticks: list[datetime], took: timedelta = SECOND, last: dict[JobName, datetime | None] | None = None
) -> list[tuple[datetime, Due]]:
    """Return what a service does that looks at these moments, and whose jobs take so long."""
    ended = dict(last or {})
    done: list[tuple[datetime, Due]] = []
    idle_from = 0
    for number, now in enumerate(ticks):
        if number < idle_from:
            continue
        for due in what.due(now, ended, ticks[0])[:1]:
            idle_from = number + -(-took // (ticks[1] - ticks[0]))
            done.append((now, due))
            ended[due.job] = now + took
            if due.job == "audit":
                ended["backup"] = now + took
    return done


def ticks(start: datetime, length: timedelta, every: timedelta = 5 * SECOND) -> list[datetime]:
    """Return the moments at which a service looks."""
    return [start + number * every for number in range(int(length / every))]


def test_the_first_backup_is_due_at_once() -> None:
    """A server without any run backs up now, and waits for its moment with an audit and a drill."""
    due = calendar(HOURLY, "30 3 * * *", "0 4 * * 0").due(NOW, {}, NOW)
    assert due == (Due("backup", NOW, NOW),)


@pytest.mark.parametrize(("expression", "minutes"), [(MINUTELY, 1), (HOURLY, 60), ("*/5 * * * *", 5)])
def test_every_moment_has_its_run(expression: str, minutes: int) -> None:
    """Every minute is as natural as every hour: one run for each moment, within a look of it, and none is missed."""
    done = followed(calendar(expression), ticks(NOW, 6 * HOUR), last={"backup": NOW - SECOND})
    assert [due.missed for _, due in done] == [0] * (360 // minutes)
    assert all(timedelta(0) <= now - due.slot < 5 * SECOND for now, due in done)


@given(st.integers(1, 5000), st.sampled_from([MINUTELY, HOURLY, "*/7 2-5 * * 1-5"]))
def test_what_was_missed_is_made_up_for_once(minutes_off: int, expression: str) -> None:
    """After any time off at most one run is due, and it tells how many others were missed."""
    what = calendar(expression)
    off_since = NOW - minutes_off * MINUTE
    moments = what.rhythms["backup"].count(off_since, NOW)
    due = what.due(NOW, {"backup": off_since}, off_since)
    assert [one.missed for one in due] == ([moments - 1] if moments else [])
    if due:
        assert what.due(NOW + SECOND, {"backup": NOW + SECOND}, off_since) == ()


@settings(max_examples=30)  # each is two thousand looks
@given(st.integers(-100_000, 100_000).filter(lambda minutes: abs(minutes) > 1))
def test_a_clock_that_jumps(jump_min: int) -> None:
    """A jump of the clock, either way and however far, brings no storm of backups and stops none for long."""
    before = ticks(NOW, HOUR)
    after = [moment + jump_min * MINUTE for moment in ticks(NOW + HOUR, 2 * HOUR)]
    done = followed(calendar(), before + after, last={"backup": NOW - SECOND})
    late = [now for now, _ in done[1:]]
    assert len(late) <= 4
    assert late[0] - after[0] <= HOUR
    assert after[-1] - late[-1] <= HOUR
    assert all(later - earlier <= HOUR for earlier, later in pairwise(late))


def test_a_small_step_back_runs_nothing_twice() -> None:
    """A clock that is set back by less than a minute, as time servers do, runs nothing a second time."""
    what = calendar(MINUTELY)
    slot = NOW.replace(second=0)
    assert what.due(slot - 10 * SECOND, {"backup": slot + SECOND}, NOW) == ()
    assert what.due(slot + 2 * SECOND, {"backup": slot + SECOND}, NOW) == ()


def test_summer_time() -> None:
    """Hourly backups go on every hour through both changes; a nightly audit in the hour between runs once a day."""
    for month, day in ((3, 28), (10, 24)):
        start = datetime(2026, month, day, 12, 0, tzinfo=UTC)
        what = calendar(HOURLY, audit="30 2 * * *")
        last: dict[JobName, datetime | None] = dict.fromkeys(("backup", "audit", "drill"), start)
        done = followed(what, ticks(start, 48 * HOUR, MINUTE), last=last)
        assert len([due for _, due in done if due.job == "audit"]) == 2
        backups = [now for now, due in done if due.job == "backup"]
        gaps = [later - earlier for earlier, later in pairwise(backups)]
        assert max(gaps) <= HOUR
        assert all(due.missed == 0 for _, due in done)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "expression", [HOURLY, "*/10 * * * *", "30 2 * * *", "5 1,2,3 * * *", "* 2 * * *", "0 4 * * 0"]
)
def test_one_walk_meets_every_moment(zone: str, expression: str) -> None:
    """The moments after one are those that are found one after the other, also at both changes of summer time."""
    rhythm = Rhythm(expression, ZoneInfo(zone))
    for start in (
        datetime(2026, 3, 7, tzinfo=UTC),
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 10, 3, tzinfo=UTC),
    ):
        moment = start
        for met in islice(rhythm.after(start), 250):
            assert met == rhythm.next_after(moment)
            moment = met


def test_an_audit_takes_the_place_of_a_backup() -> None:
    """Where both fall on one minute, one run is made, and it is the audit; a drill comes after a backup."""
    what = calendar("0 4 * * *", audit="0 4 * * *", drill="0 4 * * *")
    four = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    last: dict[JobName, datetime | None] = dict.fromkeys(("backup", "audit", "drill"), four - HOUR)
    done = followed(what, ticks(four - MINUTE, 10 * MINUTE), last=last)
    assert [due.job for _, due in done] == ["audit", "drill"]


def test_a_run_longer_than_the_interval() -> None:
    """Moments that pass during a run are left out, not caught up with: the next run comes at the next moment."""
    done = followed(calendar(MINUTELY), ticks(NOW, 20 * MINUTE), took=70 * SECOND, last={"backup": NOW - SECOND})
    starts = [now for now, _ in done]
    assert [later - earlier for earlier, later in pairwise(starts)] == [2 * MINUTE] * 9


def test_a_long_drill_tells_what_it_kept_waiting() -> None:
    """Backups that came due during a drill are made up for by one run, which tells how many were missed."""
    what = calendar(MINUTELY, drill="50 13 * * *")
    last: dict[JobName, datetime | None] = {"backup": NOW + SECOND, "drill": NOW - HOUR}
    (drill,) = what.due(NOW + 2 * SECOND, last, NOW)
    assert drill.job == "drill"
    (due,) = what.due(NOW + 30 * MINUTE, {**last, "drill": NOW + 30 * MINUTE}, NOW)
    assert (due.job, due.missed) == ("backup", 29)


def test_off() -> None:
    """A job that is off is never due, never next and never overdue."""
    what = calendar("off")
    assert what.due(NOW, {}, NOW) == ()
    assert what.next(NOW) is None
    assert what.overdue_since("backup", NOW - 1000 * HOUR, NOW) is None


@pytest.mark.parametrize(
    ("expression", "grace"), [(MINUTELY, 10 * MINUTE), (HOURLY, 2 * HOUR), ("0 3 * * *", 2 * HOUR)]
)
def test_overdue(expression: str, grace: timedelta) -> None:
    """A run is overdue some time after the moment that it should have come: minutes or two hours, by its rhythm."""
    what = calendar(expression)
    first = what.rhythms["backup"].next_after(NOW)
    assert first is not None
    assert what.overdue_since("backup", NOW, first + grace) is None
    assert what.overdue_since("backup", NOW, first + grace + SECOND) == first


@given(st.integers(0, 3 * 366 * 24 * 3600), st.sampled_from([MINUTELY, HOURLY, "30 2 * * *"]))
def test_newest_and_next_agree(seconds: int, expression: str) -> None:
    """The moments found backwards are those found forwards, at every change of the clocks too."""
    rhythm = Rhythm(expression, BERLIN)
    now = datetime(2025, 1, 1, tzinfo=UTC) + seconds * SECOND
    newest = rhythm.newest(now)
    assert newest is not None
    following = rhythm.next_after(newest)
    assert newest <= now
    assert following is not None
    assert following > now
    assert rhythm.newest(following) == following


def test_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """$TZ names the zone, with its summer time; nonsense in it does not stop anything."""
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    assert datetime(2026, 7, 1, tzinfo=local_zone()).utcoffset() == 2 * HOUR
    monkeypatch.setenv("TZ", "/usr/share/zoneinfo/Europe/Berlin")
    assert datetime(2026, 1, 1, tzinfo=local_zone()).utcoffset() == HOUR
    monkeypatch.setenv("TZ", "Nowhere/Atlantis")
    assert datetime(2026, 1, 1, tzinfo=local_zone()).utcoffset() is not None
    monkeypatch.delenv("TZ")
    assert datetime(2026, 1, 1, tzinfo=local_zone()).utcoffset() is not None


@pytest.mark.parametrize("text", ["0 0 31 2 *", "61 * * * *", "* * * *", "@daily", "nonsense in all five fields", ""])
def test_an_expression_that_means_nothing(text: str) -> None:
    """An expression that is none, or that names a day that never comes, is refused with the configuration."""
    with pytest.raises(ValueError, match=r"cron expression|never comes"):
        Schedule(backup=text)
