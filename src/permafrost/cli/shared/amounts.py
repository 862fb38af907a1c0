"""Amounts as people read them."""

from __future__ import annotations

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
