"""Which media files the server's database needs, by its media list, and how many of them the history holds.

Paths are masked (repository/media_list.py). A need is one from when this vault first read of it, by its own time: what
is needed since a moment ago is on its way. Tables of the server's records.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from permafrost.repository.media_list import ListedRow

ON_ITS_WAY = timedelta(hours=2)
NAMED_AT_MOST = 3
LIST_SNAPSHOT = "media-list-snapshot"
"""The note that says of which snapshot the list is that was taken in last."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS media_needed (
    path TEXT PRIMARY KEY, size_bytes INTEGER, first_at TEXT NOT NULL, generation INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
"""
_COMPARED = """
SELECT needed.path, needed.size_bytes, needed.first_at < ?, held.size_bytes
FROM (SELECT * FROM media_needed WHERE path > ? ORDER BY path LIMIT ?) AS needed
LEFT JOIN media AS held ON held.number = (
    SELECT number FROM media WHERE masked = needed.path ORDER BY gone_at IS NULL DESC, number DESC LIMIT 1)
ORDER BY needed.path
"""
_BATCH = 1000


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


@dataclass(slots=True)
class Comparison:
    """What is needed and held, counted up, and the first files that are overdue, or overdue with another size."""

    balance: MediaBalance = MediaBalance(0, 0, 0, 0, 0, 0, 0)
    overdue: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    def add(self, path: str, needed_bytes: int | None, held_bytes: int | None, *, is_late: bool) -> None:
        """Count a needed file; `held_bytes` is None if it is not held."""
        is_held = held_bytes is not None
        is_different = is_held and needed_bytes is not None and held_bytes != needed_bytes
        before = self.balance
        self.balance = MediaBalance(
            needed=before.needed + 1,
            needed_bytes=before.needed_bytes + (needed_bytes or 0),
            held=before.held + is_held,
            held_bytes=before.held_bytes + (held_bytes or 0),
            different=before.different + is_different,
            overdue=before.overdue + (is_late and not is_held),
            overdue_different=before.overdue_different + (is_late and is_different),
        )
        if is_late and not is_held and len(self.overdue) < NAMED_AT_MOST:
            self.overdue.append(path)
        if is_late and is_different and len(self.different) < NAMED_AT_MOST:
            self.different.append(path)


class NeededMedia:
    """The table."""

    def __init__(self, database: sqlite3.Connection, *, is_sealed: bool = False) -> None:
        """`is_sealed`: what is needed is not files, but the objects that hold them."""
        self._database = database
        self.is_sealed = is_sealed
        database.executescript(_SCHEMA)

    def replace_rows(self, rows: Iterable[ListedRow], generation: int, now: datetime) -> None:
        """Record what the rows need, in the place of what the same rows needed before."""
        for row in rows:
            before = self._database.execute(
                "SELECT path FROM media_needed WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')",
                (row.folder,),  # 0 is the letter after /; of sealed media, a row is a file
            ).fetchall()
            paths = {file.path for file in row.files}
            self._database.executemany(
                "DELETE FROM media_needed WHERE path = ?", [(path,) for (path,) in before if path not in paths]
            )
            self.add_rows((row,), generation, now)

    def add_rows(self, rows: Iterable[ListedRow], generation: int, now: datetime) -> None:
        """Record what the rows need, of a generation that has not spoken of them yet."""
        self._database.executemany(
            "INSERT INTO media_needed VALUES (?1, ?2, ?3, ?4) ON CONFLICT (path) DO UPDATE SET generation = ?4,"
            " size_bytes = ?2, first_at = CASE WHEN size_bytes IS ?2 THEN first_at ELSE ?3 END",
            [(file.path, file.size_bytes, _text(now), generation) for row in rows for file in row.files],
        )

    def forget_other_generations(self, generation: int, count: int) -> bool:
        """Forget at most `count` needs that the newest whole list did not name; return whether those were all."""
        done = self._database.execute(
            "DELETE FROM media_needed WHERE path IN (SELECT path FROM media_needed WHERE generation <> ? LIMIT ?)",
            (generation, count),
        )
        return done.rowcount < count

    def compare(self, now: datetime) -> Generator[None, None, Comparison]:
        """Compare what is needed with what is held at `now`, the vault's own time, yielding after each small step."""
        late, path, compared = _text(now - ON_ITS_WAY), "", Comparison()
        while True:
            rows = self._database.execute(_COMPARED, (late, path, _BATCH)).fetchall()
            for path, needed_bytes, is_late, held_bytes in rows:
                compared.add(path, needed_bytes, held_bytes, is_late=bool(is_late))
            if len(rows) < _BATCH:
                return compared
            yield


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
