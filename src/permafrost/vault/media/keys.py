"""Which media files to fetch from the server's object store, by its key list, and what came of asking for them.

What the list no longer names is dropped: the file is taken away from the vault's media as if the server had deleted it,
and the history keeps it for a time. Whatever cannot be had is asked for again, after a time that doubles. Times are the
vault's own. A table of the server's records.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from permafrost.repository.media_list import ListedRow

WANTED, HELD, DROPPED = range(3)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS media_keys (
    path TEXT PRIMARY KEY, size_bytes INTEGER, generation INTEGER NOT NULL, state INTEGER NOT NULL,
    due_at TEXT NOT NULL, failures INTEGER NOT NULL DEFAULT 0, answer TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', etag TEXT NOT NULL DEFAULT '', is_anew INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS media_keys_due ON media_keys (state, due_at);
CREATE INDEX IF NOT EXISTS media_keys_answer ON media_keys (state, answer) WHERE answer <> '';
"""
_ADD = """
INSERT INTO media_keys (path, size_bytes, generation, state, due_at) VALUES (?1, ?2, ?3, 0, ?4)
ON CONFLICT (path) DO UPDATE SET
    generation = ?3, size_bytes = ?2,
    is_anew = CASE WHEN size_bytes IS ?2 AND NOT ?5 THEN is_anew ELSE 1 END,
    answer = CASE WHEN size_bytes IS ?2 AND NOT ?5 AND state <> 2 THEN answer ELSE '' END,
    failures = CASE WHEN size_bytes IS ?2 AND NOT ?5 AND state <> 2 THEN failures ELSE 0 END,
    etag = CASE WHEN size_bytes IS ?2 AND NOT ?5 THEN etag ELSE '' END,
    due_at = CASE WHEN size_bytes IS ?2 AND NOT ?5 AND state <> 2 THEN due_at ELSE ?4 END,
    state = CASE WHEN size_bytes IS ?2 AND NOT ?5 AND state <> 2 THEN state ELSE 0 END
"""
_AT_ONCE = ""


@dataclass(frozen=True, slots=True)
class MediaKey:
    """A file to fetch. `failures` is how often it could not be had, `etag` what the store called its first bytes."""

    path: str
    size_bytes: int | None
    failures: int
    etag: str
    is_anew: int
    """Whether it is to be fetched whatever lies in its place."""
    answer: str = ""
    """Why it could not be had the last time."""

    @property
    def part(self) -> str:
        """The name of the file while it is not whole."""
        return f"{hashlib.sha256(self.path.encode()).hexdigest()[:32]}.part"


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Files with one answer: how many there are, some of their paths, and why the first of them could not be had."""

    count: int
    paths: tuple[str, ...]
    reason: str


class MediaKeys:
    """The table."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)

    # --- what the list says ---

    def add_rows(self, rows: Iterable[ListedRow], generation: int, now: datetime) -> None:
        """Record what the rows name; what is known of a file stays, unless the database knows another size."""
        for row in rows:
            self._add(row, generation, now, is_changed=False)

    def replace_rows(self, rows: Iterable[ListedRow], generation: int, now: datetime) -> None:
        """Record what the rows name, and drop what they named before; a changed original changes its small copies."""
        for row in rows:
            known = self._database.execute(
                "SELECT path, size_bytes FROM media_keys WHERE path > ? AND path < ?",
                (f"{row.folder}/", f"{row.folder}0"),  # 0 is the letter after /
            ).fetchall()
            sizes = {file.path: file.size_bytes for file in row.files}
            gone = [path for path, _ in known if path not in sizes]
            self._database.executemany(
                "UPDATE media_keys SET state = 2, due_at = ? WHERE path = ? AND state <> 2",
                [(_text(now), path) for path in gone],
            )
            is_changed = any(path in sizes and sizes[path] != size_bytes for path, size_bytes in known)
            self._add(row, generation, now, is_changed=is_changed)

    def _add(self, row: ListedRow, generation: int, now: datetime, *, is_changed: bool) -> None:
        at = _text(now)
        self._database.executemany(
            _ADD, [(file.path, file.size_bytes, generation, at, int(is_changed)) for file in row.files]
        )

    def forget_other_generations(self, generation: int, count: int) -> bool:
        """Drop at most `count` files that the newest whole list did not name; return whether those were all."""
        done = self._database.execute(
            "UPDATE media_keys SET state = 2 WHERE path IN"
            " (SELECT path FROM media_keys WHERE generation <> ? AND state <> 2 LIMIT ?)",
            (generation, count),
        )
        return done.rowcount < count

    def dropped(self, count: int) -> tuple[str, ...]:
        """Return paths that are no longer named."""
        rows = self._database.execute("SELECT path FROM media_keys WHERE state = 2 LIMIT ?", (count,))
        return tuple(str(path) for (path,) in rows)

    def forget(self, paths: Iterable[str]) -> None:
        """Forget dropped files, which are no longer among the vault's media."""
        self._database.executemany("DELETE FROM media_keys WHERE path = ? AND state = 2", [(path,) for path in paths])

    # --- what is due ---

    def due(self, now: datetime, count: int) -> tuple[MediaKey, ...]:
        """Return files to ask for, those that have waited longest first."""
        return self._keys("WHERE state = 0 AND due_at <= ? ORDER BY due_at LIMIT ?", _text(now), count)

    def due_again(self, now: datetime, count: int) -> tuple[MediaKey, ...]:
        """Return files that are held, and are to be fetched again and compared."""
        return self._keys("WHERE state = 1 AND due_at <= ? ORDER BY due_at LIMIT ?", _text(now), count)

    def key(self, path: str) -> MediaKey | None:
        """Return what is known of a file, None if it is not named."""
        return next(iter(self._keys("WHERE path = ?", path)), None)

    def is_held(self, path: str) -> bool:
        """Return whether the file is held, as far as is known."""
        row = self._database.execute("SELECT state FROM media_keys WHERE path = ?", (path,)).fetchone()
        return row is not None and row[0] == HELD

    def with_parts(self) -> frozenset[str]:
        """Return the names of the unfinished files that can be added to."""
        return frozenset(key.part for key in self._keys("WHERE state = 0 AND etag <> ''"))

    # --- what came of it ---

    def is_here(self, path: str, compare_at: datetime | None) -> None:
        """Record that the file is held, and when it is to be compared with the store's; None for never."""
        self._database.execute(
            "UPDATE media_keys SET state = 1, failures = 0, answer = '', reason = '', etag = '', is_anew = 0,"
            " due_at = ? WHERE path = ? AND state <> 2",
            (_text(compare_at) if compare_at is not None else "never", path),
        )

    def put_off(self, key: MediaKey, answer: str, reason: str, until: datetime, etag: str = "") -> None:
        """Record why the file cannot be had, or compared, and when to ask again."""
        self._database.execute(
            "UPDATE media_keys SET failures = ?, answer = ?, reason = ?, etag = ?, due_at = ? WHERE path = ?"
            " AND state <> 2",
            (key.failures + 1, answer, reason, etag, _text(until), key.path),
        )

    def want_again(self, path: str) -> None:
        """Have a file fetched that is held, and damaged."""
        self._database.execute(
            "UPDATE media_keys SET state = 0, failures = 0, answer = '', etag = '', is_anew = 1, due_at = ?"
            " WHERE path = ? AND state = 1",
            (_AT_ONCE, path),
        )

    def ask_for_all(self) -> None:
        """Have everything asked for at once that could not be had: the store's address is another one."""
        self._database.execute("UPDATE media_keys SET failures = 0, etag = '', due_at = ? WHERE state = 0", (_AT_ONCE,))

    def with_answer(self, state: int, answer: str, named: int) -> Unanswered:
        """Return what there is of files with that answer, with the paths of the first `named` ones."""
        (count,) = self._database.execute(
            "SELECT count(*) FROM media_keys WHERE state = ? AND answer = ? AND answer <> ''", (state, answer)
        ).fetchone()
        rows = self._database.execute(
            "SELECT path, reason FROM media_keys WHERE state = ? AND answer = ? AND answer <> '' ORDER BY path LIMIT ?",
            (state, answer, named),
        ).fetchall()
        return Unanswered(int(count), tuple(str(path) for path, _ in rows), str(rows[0][1]) if rows else "")

    def waiting(self) -> int:
        """Return how many files were not fetched yet."""
        (count,) = self._database.execute("SELECT count(*) FROM media_keys WHERE state = 0").fetchone()
        return int(count)

    def _keys(self, where: str, *values: object) -> tuple[MediaKey, ...]:
        query = f"SELECT path, size_bytes, failures, etag, is_anew, answer FROM media_keys {where}"  # noqa: S608 - our own words
        return tuple(MediaKey(*row) for row in self._database.execute(query, values))


def patience(failures: int, first: timedelta, longest: timedelta) -> timedelta:
    """Return how long to wait after a file could not be had once more: each time twice as long."""
    return min(first * (1 << min(failures, 30)), longest)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
