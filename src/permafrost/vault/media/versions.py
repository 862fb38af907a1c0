"""Which versions of which media files are in a history, and from when to when each was in its place.

Paths are bytes, as file systems have them. Times are the vault's own. Tables of the server's records.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from permafrost.repository.layout import object_of_path
from permafrost.repository.media_list import masked_path
from permafrost.vault.cost import BLOCK_BYTES, ENTRY_BYTES, PATH_FACTOR, media_cost

_SCHEMA = """
CREATE TABLE IF NOT EXISTS media (
    number INTEGER PRIMARY KEY, path BLOB NOT NULL, place BLOB NOT NULL, inode INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, first_at TEXT NOT NULL, gone_at TEXT, masked TEXT, sha256 TEXT, verified_at TEXT,
    state INTEGER NOT NULL DEFAULT 0, mode INTEGER) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS media_present ON media (path) WHERE gone_at IS NULL;
CREATE INDEX IF NOT EXISTS media_gone ON media (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS media_by_path ON media (path, first_at);
CREATE INDEX IF NOT EXISTS media_masked ON media (masked);
CREATE INDEX IF NOT EXISTS media_unmasked ON media (number) WHERE masked IS NULL;
CREATE INDEX IF NOT EXISTS media_unread ON media (number) WHERE sha256 IS NULL;
CREATE INDEX IF NOT EXISTS media_verified ON media (verified_at);
CREATE INDEX IF NOT EXISTS media_rotten ON media (number) WHERE state = 1;
CREATE TABLE IF NOT EXISTS media_modes (
    number INTEGER NOT NULL REFERENCES media ON DELETE CASCADE, since TEXT NOT NULL, mode INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS media_modes_by_number ON media_modes (number, since);
"""
_ADDED = (
    "masked TEXT",
    "sha256 TEXT",
    "verified_at TEXT",
    "state INTEGER NOT NULL DEFAULT 0",
    "mode INTEGER",
)
"""Columns that records of older versions do not have."""
_COLUMNS = "number, path, place, inode, size_bytes, first_at, gone_at, sha256, state, mode"
SOUND, ROTTEN, SUPERSEDED = range(3)
"""States of a version: as it came; rotten, until a good copy comes; rotten, and the server has another one by now."""


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
    sha256: str | None = None
    """Of its bytes as they were first read; None until then."""
    state: int = SOUND
    mode: int | None = None
    """Its permission bits as they were seen last; None until then."""


class MediaVersions:
    """The table."""

    def __init__(self, database: sqlite3.Connection, repository_id: str, *, is_sealed: bool = False) -> None:
        """`is_sealed`: the files are those of a sealed media store, whose objects a list names as they are."""
        self._database = database
        self.is_sealed = is_sealed
        self._repository_id = repository_id
        _add_columns(database)
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
            "INSERT INTO media (path, place, inode, size_bytes, first_at, gone_at, masked)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(path, place, inode, size_bytes, _text(first_at), None if gone_at is None else _text(gone_at)),
                self._masked(path),
            ),
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
        self._database.execute("DELETE FROM media_modes WHERE number = ?", (version.number,))
        self._database.execute("DELETE FROM media WHERE number = ?", (version.number,))
        if self._cost_bytes is not None:
            self._cost_bytes -= media_cost(version.size_bytes, len(version.path))

    def present_after(self, number: int, count: int) -> tuple[MediaVersion, ...]:
        """Return the next present versions, in the order of their numbers."""
        return self._all("WHERE gone_at IS NULL AND number > ? ORDER BY number LIMIT ?", number, count)

    def gone_before(self, moment: datetime, count: int) -> tuple[MediaVersion, ...]:
        """Return versions that have been gone since before `moment`, without what the database still needs.

        The last version of a file that the database needs is kept for as long, whatever the server has deleted.
        """
        return self._all(
            "AS gone WHERE gone_at < ? AND NOT (masked IN (SELECT path FROM media_needed) AND NOT EXISTS"
            " (SELECT 1 FROM media AS other WHERE other.path = gone.path AND (other.gone_at IS NULL"
            "  OR other.number > gone.number))) ORDER BY gone_at LIMIT ?",
            _text(moment),
            count,
        )

    # --- what is in them ---

    def mask(self, count: int) -> bool:
        """Note the masked paths of some versions of before there were any; return whether those were all."""
        rows = self._database.execute(
            "SELECT number, path FROM media WHERE masked IS NULL LIMIT ?", (count,)
        ).fetchall()
        self._database.executemany(
            "UPDATE media SET masked = ? WHERE number = ?", [(self._masked(path), number) for number, path in rows]
        )
        return len(rows) < count

    def _masked(self, path: bytes) -> str:
        """Return the path as lists name it, an empty one for a file that none can name."""
        if self.is_sealed:
            return os.fsdecode(path) if object_of_path(path) is not None else ""
        return masked_path(self._repository_id, path) or ""

    def expected_hash(self, version: MediaVersion) -> str | None:
        """Return what a version's bytes have to come to: as they first did, or what its name says; None if neither."""
        return version.sha256 or (object_of_path(version.path) if self.is_sealed else None)

    def unread(self, count: int) -> tuple[MediaVersion, ...]:
        """Return versions whose bytes were never read, in the order in which they came."""
        return self._all("WHERE sha256 IS NULL ORDER BY number LIMIT ?", count)

    def verified_before(self, moment: datetime, count: int) -> tuple[MediaVersion, ...]:
        """Return versions that were last read before `moment`, longest ago first."""
        return self._all("WHERE verified_at < ? ORDER BY verified_at LIMIT ?", _text(moment), count)

    def rotten(self, number: int, count: int) -> tuple[MediaVersion, ...]:
        """Return the next versions that have rotted and wait for a good copy."""
        return self._all("WHERE state = 1 AND number > ? ORDER BY number LIMIT ?", number, count)

    def was_read(self, version: MediaVersion, sha256: str, state: int, now: datetime, inode: int | None = None) -> None:
        """Record what the bytes of a version come to, how it is, and which file it is now."""
        self._database.execute(
            "UPDATE media SET sha256 = ?, state = ?, verified_at = ?, inode = ? WHERE number = ?",
            (sha256, state, _text(now), version.inode if inode is None else inode, version.number),
        )

    def read_since(self) -> tuple[int, datetime | None]:
        """Return how many versions are rotten, and since when all were read; None if that cannot be said."""
        rotten, unread, oldest = self._database.execute(
            "SELECT count(*) FILTER (WHERE state <> 0), count(*) FILTER (WHERE sha256 IS NULL), min(verified_at)"
            " FROM media"
        ).fetchone()
        return int(rotten), datetime.fromisoformat(oldest) if oldest and not unread else None

    # --- permissions ---

    def set_mode(self, version: MediaVersion, mode: int, now: datetime) -> None:
        """Record the permission bits that a version has from now on."""
        if version.mode is None:  # an older permafrost, which forgets no modes, may have had a version of this number
            self._database.execute("DELETE FROM media_modes WHERE number = ?", (version.number,))
        self._database.execute("UPDATE media SET mode = ? WHERE number = ?", (mode, version.number))
        since = version.first_at if version.mode is None else now
        self._database.execute("INSERT INTO media_modes VALUES (?, ?, ?)", (version.number, _text(since), mode))

    def mode_at(self, version: MediaVersion, moment: datetime) -> int | None:
        """Return the permission bits that a version had at `moment`, or else the first that are known."""
        row = self._database.execute(
            "SELECT mode FROM media_modes WHERE number = ?1 ORDER BY since > ?2,"
            " CASE WHEN since > ?2 THEN since END, since DESC LIMIT 1",
            (version.number, _text(moment)),
        ).fetchone()
        return int(row[0]) if row else None

    def as_of(self, moment: datetime) -> Iterator[MediaVersion]:
        """Yield for each path the version that was present at `moment`, otherwise the first that came later.

        A file may come to the vault after the snapshot that speaks of it, so what came later is better than nothing;
        it comes last.
        """
        at = _text(moment)
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM media AS version WHERE (gone_at IS NULL OR gone_at > ?) AND NOT EXISTS"  # noqa: S608
            " (SELECT 1 FROM media AS other WHERE other.path = version.path AND other.first_at < version.first_at"
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
            " (SELECT 1 FROM media AS next WHERE next.path = ended.path AND next.gone_at IS NULL) AS has_next"
            "  FROM media AS ended WHERE ended.gone_at >= ?)",
            (_text(moment),),
        ).fetchone()
        return int(gone), int(replaced)

    def objects_ended_after(self, moment: datetime) -> tuple[int, int, int]:
        """Return how many sealed objects have gone since, their size, and that of all that are or were there then."""
        count, gone, total = self._database.execute(
            "SELECT count(*) FILTER (WHERE gone_at >= ?1), coalesce(sum(size_bytes) FILTER (WHERE gone_at >= ?1), 0),"
            " coalesce(sum(size_bytes), 0) FROM media WHERE masked <> '' AND (gone_at IS NULL OR gone_at >= ?1)",
            (_text(moment),),
        ).fetchone()
        return int(count), int(gone), int(total)

    def _one(self, where: str, *values: object) -> MediaVersion | None:
        found = self._all(where, *values)
        return found[0] if found else None

    def _all(self, where: str, *values: object) -> tuple[MediaVersion, ...]:
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM media {where}", values)  # noqa: S608 - our own words
        return tuple(_version(row) for row in rows)


def _add_columns(database: sqlite3.Connection) -> None:
    known = {str(row[1]) for row in database.execute("PRAGMA table_info(media)")}
    for column in _ADDED if known else ():
        if column.partition(" ")[0] not in known:
            database.execute(f"ALTER TABLE media ADD COLUMN {column}")


def _version(row: tuple[int, bytes, bytes, int, int, str, str | None, str | None, int, int | None]) -> MediaVersion:
    number, path, place, inode, size_bytes, first_at, gone_at, sha256, state, mode = row
    first, gone = datetime.fromisoformat(first_at), datetime.fromisoformat(gone_at) if gone_at is not None else None
    return MediaVersion(number, path, place, inode, size_bytes, first, gone, sha256, state, mode)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
