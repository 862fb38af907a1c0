"""Which versions of which media files are in a history, and from when to when each was in its place.

Paths are bytes, as file systems have them. Times are the vault's own. Tables of the server's records.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from permafrost.vault.cost import BLOCK_BYTES, ENTRY_BYTES, PATH_FACTOR, media_cost

_SCHEMA = """
CREATE TABLE IF NOT EXISTS media (
    number INTEGER PRIMARY KEY, path BLOB NOT NULL, place BLOB NOT NULL, inode INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, first_at TEXT NOT NULL, gone_at TEXT) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS media_present ON media (path) WHERE gone_at IS NULL;
CREATE INDEX IF NOT EXISTS media_gone ON media (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS media_by_path ON media (path, first_at);
"""
_COLUMNS = "number, path, place, inode, size_bytes, first_at, gone_at"


@dataclass(frozen=True, slots=True)
class MediaVersion:
    """One version of one file. `place` is its path below the history; `gone_at` is None while it is present."""

    number: int
    path: bytes
    place: bytes
    inode: int
    size_bytes: int
    first_at: datetime
    gone_at: datetime | None


class MediaVersions:
    """The table."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)
        self._cost_bytes: int | None = None

    def is_empty(self) -> bool:
        """Return whether nothing is known: there is no media yet, or the records were lost."""
        return self._database.execute("SELECT 1 FROM media LIMIT 1").fetchone() is None

    def present(self, path: bytes) -> MediaVersion | None:
        """Return the version that is at its place now."""
        return self._one("WHERE path = ? AND gone_at IS NULL", path)

    def at_place(self, path: bytes, place: bytes) -> MediaVersion | None:
        """Return the version of that path at that place."""
        return self._one("WHERE path = ? AND place = ?", path, place)

    def add(
        self,
        path: bytes,
        place: bytes,
        inode: int,
        size_bytes: int,
        first_at: datetime,
        gone_at: datetime | None = None,
    ) -> None:
        """Record a version."""
        self._database.execute(
            "INSERT INTO media (path, place, inode, size_bytes, first_at, gone_at) VALUES (?, ?, ?, ?, ?, ?)",
            (path, place, inode, size_bytes, _text(first_at), None if gone_at is None else _text(gone_at)),
        )
        if self._cost_bytes is not None:
            self._cost_bytes += media_cost(size_bytes, len(path))

    def end(self, version: MediaVersion, gone_at: datetime, place: bytes | None = None) -> None:
        """Record that the version is no longer present, and where it lies now."""
        self._database.execute(
            "UPDATE media SET gone_at = ?, place = ? WHERE number = ?",
            (_text(gone_at), place or version.place, version.number),
        )

    def forget(self, version: MediaVersion) -> None:
        """Forget a version."""
        self._database.execute("DELETE FROM media WHERE number = ?", (version.number,))
        if self._cost_bytes is not None:
            self._cost_bytes -= media_cost(version.size_bytes, len(version.path))

    def present_after(self, number: int, count: int) -> tuple[MediaVersion, ...]:
        """Return the next present versions, in the order of their numbers."""
        return self._all("WHERE gone_at IS NULL AND number > ? ORDER BY number LIMIT ?", number, count)

    def gone_before(self, moment: datetime, count: int) -> tuple[MediaVersion, ...]:
        """Return versions that have been gone since before `moment`."""
        return self._all("WHERE gone_at < ? ORDER BY gone_at LIMIT ?", _text(moment), count)

    def as_of(self, moment: datetime) -> Iterator[MediaVersion]:
        """Yield for each path the version that was present at `moment`, otherwise the first that came later.

        A file may come to the vault after the snapshot that speaks of it, so what came later is better than nothing;
        it comes last.
        """
        at = _text(moment)
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM media AS one WHERE (gone_at IS NULL OR gone_at > ?) AND NOT EXISTS"  # noqa: S608
            " (SELECT 1 FROM media AS other WHERE other.path = one.path AND other.first_at < one.first_at"
            "  AND (other.gone_at IS NULL OR other.gone_at > ?)) ORDER BY first_at > ?, path",
            (at, at, at),
        )
        for row in rows:
            yield _version(row)

    def totals(self) -> tuple[int, int, int]:
        """Return how many files are present, how many versions are kept that are not, and the bytes of all."""
        present, gone, size = self._database.execute(
            "SELECT count(*) FILTER (WHERE gone_at IS NULL), count(*) FILTER (WHERE gone_at IS NOT NULL),"
            " coalesce(sum(size_bytes), 0) FROM media"
        ).fetchone()
        return int(present), int(gone), int(size)

    def cost_bytes(self) -> int:
        """Return what all versions cost the disk, without their folders. Summed up once, and kept up to date."""
        if self._cost_bytes is None:
            (self._cost_bytes,) = self._database.execute(
                "SELECT coalesce(sum((size_bytes + ?) / ? * ? + ? + ? * length(path)), 0) FROM media",
                (BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES, ENTRY_BYTES, PATH_FACTOR),
            ).fetchone()
        return int(self._cost_bytes or 0)

    def count_again(self) -> None:
        """Sum up anew when the cost is asked for next."""
        self._cost_bytes = None

    def ended_after(self, moment: datetime) -> tuple[int, int]:
        """Return how many versions have ended since: without, and with another one present in their place."""
        gone, replaced = self._database.execute(
            "SELECT count(*) FILTER (WHERE NOT has_next), count(*) FILTER (WHERE has_next) FROM (SELECT EXISTS"
            " (SELECT 1 FROM media AS next WHERE next.path = one.path AND next.gone_at IS NULL) AS has_next"
            "  FROM media AS one WHERE one.gone_at >= ?)",
            (_text(moment),),
        ).fetchone()
        return int(gone), int(replaced)

    def _one(self, where: str, *values: object) -> MediaVersion | None:
        found = self._all(where, *values)
        return found[0] if found else None

    def _all(self, where: str, *values: object) -> tuple[MediaVersion, ...]:
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM media {where}", values)  # noqa: S608 - our own words
        return tuple(_version(row) for row in rows)


def _version(row: tuple[int, bytes, bytes, int, int, str, str | None]) -> MediaVersion:
    return MediaVersion(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        datetime.fromisoformat(row[5]),
        datetime.fromisoformat(row[6]) if row[6] is not None else None,
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
