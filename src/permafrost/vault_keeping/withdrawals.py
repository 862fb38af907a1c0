"""Which snapshots of a history the server no longer shows, and since when. A table of the server's records.

Times are the vault's own. `since` is when the snapshot was last seen on the server, so what happened while the vault
was off counts from before that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

_SCHEMA = """
CREATE TABLE IF NOT EXISTS withdrawn (
    snapshot TEXT PRIMARY KEY, since TEXT NOT NULL, is_explained INTEGER NOT NULL DEFAULT 0) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A snapshot that the history has and the server no longer shows."""

    snapshot: str
    since: datetime
    is_explained: bool
    """A prune of the server explains it, or it has been reported for long enough."""


class Withdrawals:
    """The table."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)

    def all(self) -> tuple[Withdrawal, ...]:
        """Return what is recorded."""
        rows = self._database.execute("SELECT snapshot, since, is_explained FROM withdrawn ORDER BY snapshot")
        return tuple(Withdrawal(name, datetime.fromisoformat(since), bool(done)) for name, since, done in rows)

    def settle(self, absent: Iterable[str], since: datetime) -> tuple[Withdrawal, ...]:
        """Record that exactly these are absent, new ones since then; return what is recorded now."""
        absent = set(absent)
        known = {withdrawal.snapshot for withdrawal in self.all()}
        at = since.astimezone(UTC).isoformat(timespec="microseconds")
        self._database.executemany(
            "DELETE FROM withdrawn WHERE snapshot = ?", [(snapshot,) for snapshot in known - absent]
        )
        self._database.executemany(
            "INSERT INTO withdrawn (snapshot, since) VALUES (?, ?)", [(snapshot, at) for snapshot in absent - known]
        )
        return self.all()

    def explain(self, snapshots: Iterable[str]) -> None:
        """Record that these need no further word."""
        self._database.executemany(
            "UPDATE withdrawn SET is_explained = 1 WHERE snapshot = ?", [(snapshot,) for snapshot in snapshots]
        )
