"""How often a kind of work is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from permafrost.vault_keeping.pace import Pace

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_pause_after_long_work() -> None:
    """Work is due at first and once in its interval; after work that took long, the pause is longer if asked for."""
    pace = Pace(MINUTE)
    assert pace.is_due(NOON)
    pace.done(NOON)
    assert not pace.is_due(NOON + MINUTE / 2)
    assert pace.is_due(NOON + MINUTE)
    pace.done(NOON, 20 * timedelta(seconds=1))
    assert pace.is_due(NOON + MINUTE)
    pace.done(NOON, 20 * timedelta(seconds=9))
    assert not pace.is_due(NOON + 2 * MINUTE)
    assert pace.is_due(NOON + 3 * MINUTE)
