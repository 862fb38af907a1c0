"""A vault's records of its findings: those of an older version are taken over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from permafrost.findings import Severity
from permafrost.vault.arrivals import Records

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
