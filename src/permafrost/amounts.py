"""Amounts as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_THIS_YEAR = timedelta(days=300)
_HOURS_SHOWN = 48
"""From here on a duration is written in whole days."""


def bytes_text(size: int) -> str:
    """Return a size in bytes as text with three digits or so: 1.23 MB, decimal units as disks are sold."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def count_text(number: int, noun: str) -> str:
    """Return a number with its regular noun: 1 snapshot, 2,000 snapshots."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def seconds_text(duration_s: float) -> str:
    """Return a duration as text: 1.4 s, 2 min 5 s, 3 h 20 min, 8 days."""
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < _HOURS_SHOWN else f"{hours // 24} days"


def span_text(duration_s: float) -> str:
    """Return a duration as people say it, in one unit: 40 s, 12 min, 10 h, 3 days; a negative one counts as none."""
    duration_s = max(0.0, duration_s)
    if duration_s < 60:
        return f"{duration_s:.0f} s"
    minutes = round(duration_s / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(duration_s / 3600)
    return f"{hours} h" if hours < _HOURS_SHOWN else f"{round(duration_s / 86_400)} days"


def moment_text(moment: datetime, now: datetime, zone: tzinfo) -> str:
    """Return a moment by the clock of `zone`: 14:02 if it is of today, otherwise with its day."""
    day = day_text(moment, now, zone)
    clock = f"{moment.astimezone(zone):%H:%M}"
    return clock if day == "today" else f"{day} {clock}"


def day_text(moment: datetime, now: datetime, zone: tzinfo) -> str:
    """Return a moment's day: today, yesterday, tomorrow, Oct 31, or with the year if it is many months away."""
    local, today = moment.astimezone(zone).date(), now.astimezone(zone).date()
    near = {today: "today", today - timedelta(days=1): "yesterday", today + timedelta(days=1): "tomorrow"}
    if local in near:
        return near[local]
    return f"{_MONTHS[local.month - 1]} {local.day}" if abs(today - local) < _THIS_YEAR else f"{local}"


def list_text(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: attic, cellar and barn."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
