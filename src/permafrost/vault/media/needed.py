"""Which media files the server's database needs, by its media list, and how many of them the history holds.

Paths are masked (repository/media_list.py). A need is one from when this vault first read of it, by its own time: what
is needed since a moment ago is on its way. Tables of the server's records.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from permafrost.repository.media_list import ListedRow

ON_ITS_WAY = timedelta(hours=2)
NAMED_AT_MOST = 20
LIST_SNAPSHOT = "media-list-snapshot"
"""The note that says of which snapshot the list is that was taken in last."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS media_needed (
    path TEXT PRIMARY KEY, size_bytes INTEGER, first_at TEXT NOT NULL, generation INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
"""
_BALANCE = """
SELECT count(*), coalesce(sum(needed.size_bytes), 0), count(held.number), coalesce(sum(held.size_bytes), 0),
    count(*) FILTER (WHERE held.size_bytes <> needed.size_bytes),
    count(*) FILTER (WHERE held.number IS NULL AND needed.first_at < :late),
    count(*) FILTER (WHERE held.size_bytes <> needed.size_bytes AND needed.first_at < :late)
FROM media_needed AS needed LEFT JOIN media AS held ON held.number = (
    SELECT number FROM media WHERE masked = needed.path ORDER BY gone_at IS NULL DESC, number DESC LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class MediaBalance:
    """What is needed and what is held of it, in files and bytes.

    `needed_bytes` counts originals, whose size the database knows; `held_bytes` all files. A `different` file is held,
    with another size than the database says. `overdue` and `overdue_different` are those that are not on their way.
    """

    needed: int
    needed_bytes: int
    held: int
    held_bytes: int
    different: int
    overdue: int
    overdue_different: int

    @property
    def missing(self) -> int:
        """How many files are needed and not held."""
        return self.needed - self.held

    def document(self) -> dict[str, int]:
        """Return it for the vault's notes."""
        return asdict(self)


class NeededMedia:
    """The table."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)

    def replace_rows(self, rows: Iterable[ListedRow], generation: int, now: datetime) -> None:
        """Record what the rows need, in the place of what the same rows needed before."""
        for row in rows:
            before = dict(
                self._database.execute(
                    "SELECT path, size_bytes FROM media_needed WHERE path > ? AND path < ?",
                    (f"{row.folder}/", f"{row.folder}0"),  # 0 is the letter after /
                ).fetchall()
            )
            paths = {file.path for file in row.files}
            self._database.executemany(
                "DELETE FROM media_needed WHERE path = ?", [(path,) for path in before if path not in paths]
            )
            self._database.executemany(
                "INSERT INTO media_needed VALUES (?1, ?2, ?3, ?4) ON CONFLICT (path) DO UPDATE SET generation = ?4,"
                " size_bytes = ?2, first_at = CASE WHEN size_bytes IS ?2 THEN first_at ELSE ?3 END",
                [(file.path, file.size_bytes, _text(now), generation) for file in row.files],
            )

    def forget_other_generations(self, generation: int, count: int) -> bool:
        """Forget at most `count` needs that the newest whole list did not name; return whether those were all."""
        done = self._database.execute(
            "DELETE FROM media_needed WHERE path IN (SELECT path FROM media_needed WHERE generation <> ? LIMIT ?)",
            (generation, count),
        )
        return done.rowcount < count

    def balance(self, now: datetime) -> MediaBalance:
        """Return what is held of what is needed at `now`, the vault's own time."""
        row = self._database.execute(_BALANCE, {"late": _text(now - ON_ITS_WAY)}).fetchone()
        return MediaBalance(*map(int, row))

    def overdue(self, now: datetime) -> tuple[str, ...]:
        """Return some of the files that are needed, not held, and not on their way."""
        rows = self._database.execute(
            "SELECT path FROM media_needed WHERE first_at < ? AND NOT EXISTS"
            " (SELECT 1 FROM media WHERE masked = path) ORDER BY path LIMIT ?",
            (_text(now - ON_ITS_WAY), NAMED_AT_MOST),
        )
        return tuple(str(path) for (path,) in rows)

    def different(self, now: datetime) -> tuple[str, ...]:
        """Return some of the files that are held with another size than the database says, and not on their way."""
        rows = self._database.execute(
            "SELECT n.path FROM media_needed AS n JOIN media AS m ON m.masked = n.path AND m.gone_at IS NULL"
            " WHERE n.first_at < ? AND m.size_bytes <> n.size_bytes ORDER BY n.path LIMIT ?",
            (_text(now - ON_ITS_WAY), NAMED_AT_MOST),
        )
        return tuple(str(path) for (path,) in rows)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
