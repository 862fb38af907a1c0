"""Amounts as people read them."""

from __future__ import annotations

import pytest

from permafrost.amounts import bytes_text, count_text, seconds_text

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (1.44, "1.4 s"),
        (2 * MINUTE + 5, "2 min 5 s"),
        (3 * HOUR + 20 * MINUTE, "3 h 20 min"),
        (2 * DAY - MINUTE, "47 h 59 min"),
        (2 * DAY, "2 days"),
        (192 * HOUR + 59 * MINUTE, "8 days"),
    ],
)
def test_durations(duration_s: float, text: str) -> None:
    """Durations are told in the two units that matter, and from two days on in days."""
    assert seconds_text(duration_s) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 snapshots"), (1, "1 snapshot"), (2000, "2,000 snapshots")])
def test_counts(number: int, text: str) -> None:
    """One is one of them, and none or many are several."""
    assert count_text(number, "snapshot") == text


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 B"), (1_230_000, "1.23 MB"), (372_000_000, "372 MB"), (2 * 10**12, "2 TB")]
)
def test_sizes(size: int, text: str) -> None:
    """Sizes have three digits, in decimal units."""
    assert bytes_text(size) == text
