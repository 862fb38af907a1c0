"""A vault's records: arrivals as they are now, and the findings of an older version, which are taken over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.findings import Severity
from permafrost.vault.arrivals import DROPPED, IN_FLIGHT, KEPT, Arrival, Records

FIRST, LAST = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)


def test_findings_of_an_older_version(tmp_path: Path) -> None:
    """They keep their moments and words in the ledger; the table that held them is gone, and opening again is fine."""
    file = tmp_path / "records.sqlite"
    with closing(Records(file)):
        pass
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "CREATE TABLE findings (kind TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL, first_at TEXT NOT"
            " NULL, last_at TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (kind, subject)) STRICT"
        )
        row = ("vault-clock", "clock", "it jumped", FIRST.isoformat(), LAST.isoformat(), 7)
        database.execute("INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?)", row)
    for _ in range(2):
        with closing(Records(file)) as records:
            (entry,) = records.ledger.open()
            assert (entry.code, entry.message, entry.times) == ("clock-jumped", "it jumped", 7)
            assert (entry.first_at, entry.last_at, entry.severity) == (FIRST, LAST, Severity.WARNING)


def states(records: Records) -> list[str]:
    """The states of all arrivals, by name."""
    return [arrival.state for arrival in records.arrivals()]


def take_back(records: Records, snapshot: str) -> None:
    """Forget a snapshot, and then fail before that counts."""
    with records.together():
        records.forget([snapshot])
        assert snapshot not in [arrival.snapshot for arrival in records.arrivals()]
        raise ZeroDivisionError


def test_arrivals_as_they_are_now(tmp_path: Path) -> None:
    """Arrivals are what was recorded last, by whomever, and not what was taken back."""
    file = tmp_path / "keeping.sqlite"
    first, second = (Arrival(f"20261123T12000{number}Z-00000000", FIRST, IN_FLIGHT) for number in range(2))
    with closing(Records(file)) as records, closing(Records(file)) as others:
        assert states(records) == states(others) == []
        records.record(first)
        assert states(records) == states(others) == [IN_FLIGHT]
        others.record(second)
        others.set_state([first.snapshot], KEPT)
        assert states(records) == states(others) == [KEPT, IN_FLIGHT]
        assert [arrival.snapshot for arrival in records.arrivals(KEPT, DROPPED)] == [first.snapshot]
        with pytest.raises(ZeroDivisionError):
            take_back(records, first.snapshot)
        assert states(records) == [KEPT, IN_FLIGHT]
        records.set_state([second.snapshot], DROPPED)
        others.forget([first.snapshot])
        assert states(records) == states(others) == [DROPPED]
