"""What has been sealed: which file's bytes lie where, and which objects the store has. SQLite in the state folder.

A cache: what it says is in the sealed catalog as well, up to what is new since that was published. It is right at any
moment, so a run that is killed is resumed: an object is recorded, with all files in it, when it is durable. A change of
the catalog is prepared here, published by replacing the index, and settled here; the index's digest says how far that
came.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from permafrost.errors import PermafrostError
from permafrost.repository.durable import make_folder_durably
from permafrost.repository.objects import StoredObject
from permafrost.sealed_media.lines import SealedFile, gone_line
from permafrost.state_files import is_no_file, is_sound, other_reason, set_aside

STATE_FILE = "sealed-media.sqlite"
"""In the state folder."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    content_bytes INTEGER NOT NULL, listed INTEGER NOT NULL DEFAULT 0, unneeded_at TEXT) STRICT;
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, inode INTEGER NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    mode INTEGER NOT NULL, sha256 BLOB NOT NULL, object INTEGER NOT NULL, offset INTEGER NOT NULL,
    is_new INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_content ON files (sha256);
CREATE INDEX IF NOT EXISTS files_by_object ON files (object);
CREATE INDEX IF NOT EXISTS files_new ON files (path) WHERE is_new = 1;
CREATE TABLE IF NOT EXISTS gone (path BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""
_LINES = (
    "SELECT path, name, offset, files.size_bytes, sha256, mode, mtime_ns"
    " FROM files CROSS JOIN objects ON objects.id = object"
)
_NEW, _ALL = " WHERE is_new = 1 ORDER BY path", " ORDER BY object, path"
_WORN = """
SELECT id, objects.size_bytes, 2 * live_bytes < content_bytes FROM objects JOIN (
    SELECT object, sum(size_bytes) AS live_bytes FROM (SELECT DISTINCT object, offset, size_bytes FROM files)
    GROUP BY object) ON object = id
WHERE kind = 'pack' AND (2 * live_bytes < content_bytes OR content_bytes < ?) ORDER BY objects.size_bytes
"""
_BATCH = 1000
NO_INODE = -1
"""Of a file that another run has sealed: it is looked at again."""
Kind = Literal["pack", "catalog"]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What says whether a file is the one that was sealed."""

    path: bytes
    inode: int
    size_bytes: int
    mtime_ns: int
    mode: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a content's bytes are: in the object of that number, from that offset on."""

    object_id: int
    offset: int


class SealedState:
    """The state in one file. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Open or make it; a damaged one is set aside.

        Raise `PermafrostError` where SQLite fails for another reason.
        """
        make_folder_durably(folder, 0o750)
        self._file = folder / STATE_FILE
        self.set_aside: Path | None = set_aside(self._file) if is_no_file(self._file) else None
        """Where a damaged one was put."""
        self._database = self._opened()

    def _opened(self) -> sqlite3.Connection:
        try:
            return _connect(self._file)
        except sqlite3.DatabaseError as error:
            if (other := other_reason(self._file, error)) is not None:
                raise other from error
            self.set_aside = set_aside(self._file)
            return _connect(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that the block records last, with what was recorded before, in one step; or nothing of it."""
        try:
            yield
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self.commit()

    def commit(self) -> None:
        """Make what was recorded last."""
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def _write(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")
        return self._database.execute(statement, values)

    def note(self, name: str) -> str | None:
        """Return what was noted under that name."""
        row = self._database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def set_note(self, name: str, value: str) -> None:
        """Note the value."""
        self._write("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def begin_again(self) -> None:
        """Forget every file, so that all are sealed again; what objects there are stays known."""
        for table in ("files", "gone", "notes"):
            self._write(f"DELETE FROM {table}")  # noqa: S608 - our own words

    # --- files ---

    def known(self, path: bytes) -> tuple[FileFacts, int] | None:
        """Return what was sealed of that path, and in which object; None if nothing was."""
        row = self._database.execute(
            "SELECT inode, size_bytes, mtime_ns, mode, object FROM files WHERE path = ?", (path,)
        ).fetchone()
        return (FileFacts(path, *row[:4]), int(row[4])) if row else None

    def place_of(self, sha256: bytes) -> Place | None:
        """Return where a content lies, None if it was not sealed yet, or only in packs that are worn."""
        row = self._database.execute(
            "SELECT object, offset FROM files WHERE sha256 = ?"
            " AND object NOT IN (SELECT object FROM temp.worn) LIMIT 1",
            (sha256,),
        ).fetchone()
        return Place(*row) if row else None

    def put(self, facts: FileFacts, sha256: bytes, place: Place, *, is_new: bool = True) -> None:
        """Record where a file's bytes are."""
        self._write(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(facts.path, facts.inode, facts.size_bytes, facts.mtime_ns, facts.mode),
                *(sha256, place.object_id, place.offset, int(is_new)),
            ),
        )
        self._write("DELETE FROM gone WHERE path = ?", (facts.path,))

    def touch(self, facts: FileFacts) -> None:
        """Record other permissions, another time or inode of a file whose bytes are the same."""
        self._write(
            "UPDATE files SET inode = ?2, mtime_ns = ?3, mode = ?4,"
            " is_new = max(is_new, mtime_ns <> ?3 OR mode <> ?4) WHERE path = ?1",
            (facts.path, facts.inode, facts.mtime_ns, facts.mode),
        )

    def remove(self, path: bytes) -> None:
        """Record that there is no file of that path any more."""
        self._write("DELETE FROM files WHERE path = ?", (path,))
        self._write("INSERT OR IGNORE INTO gone VALUES (?)", (path,))

    def forget_file(self, path: bytes) -> None:
        """Forget a file, which the catalog says is gone."""
        self._write("DELETE FROM files WHERE path = ?", (path,))

    def paths_after(self, path: bytes | None) -> list[bytes]:
        """Return the next paths of files, in their order; none after the last."""
        rows = self._database.execute(
            "SELECT path FROM files WHERE ?1 IS NULL OR path > ?1 ORDER BY path LIMIT ?2", (path, _BATCH)
        )
        return [bytes(row[0]) for row in rows]

    def totals(self) -> tuple[int, int]:
        """Return how many files are sealed, and their size."""
        count, size = self._database.execute("SELECT count(*), coalesce(sum(size_bytes), 0) FROM files").fetchone()
        return int(count), int(size)

    # --- objects ---

    def add_object(self, stored: StoredObject, kind: Kind, content_bytes: int) -> int:
        """Record an object that is durable, and return its number."""
        added = self._write(
            "INSERT INTO objects (name, kind, size_bytes, content_bytes) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET unneeded_at = NULL, content_bytes = excluded.content_bytes RETURNING id",
            (stored.name, kind, stored.size_bytes, content_bytes),
        ).fetchone()
        return int(added[0])

    def has_object(self, name: str) -> bool:
        """Return whether the object is known."""
        return self.number_of(name) is not None

    def adopt_object(self, stored: StoredObject, kind: Kind) -> int:
        """Record an object that the published list names, and return its number."""
        number = self.add_object(stored, kind, stored.size_bytes)
        self._write("UPDATE objects SET listed = 1 WHERE id = ?", (number,))
        return number

    def number_of(self, name: str) -> int | None:
        """Return the object's number, None if it is not known."""
        row = self._database.execute("SELECT id FROM objects WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else None

    def wear_out(self, share: float, small_bytes: int) -> frozenset[int]:
        """Return packs of which less than half is needed, or that are small; their files are to be sealed again.

        Together they are at most that `share` of all packs, in bytes. Until then their contents count as not sealed.
        """
        worn, left, gains = [], share * self.totals_of_objects()[1], False
        for number, size, is_half_empty in self._database.execute(_WORN, (small_bytes,)):
            left -= size
            if left < 0:
                break
            worn.append((number,))
            gains = gains or bool(is_half_empty) or len(worn) > 1  # a small one alone would become as small a one
        if gains:
            self._database.executemany("INSERT OR IGNORE INTO temp.worn VALUES (?)", worn)
        return frozenset(int(number) for (number,) in self._database.execute("SELECT object FROM temp.worn"))

    def totals_of_objects(self) -> tuple[int, int]:
        """Return how many objects are needed, and their size."""
        count, size = self._database.execute(
            "SELECT count(*), coalesce(sum(size_bytes), 0) FROM objects WHERE unneeded_at IS NULL"
        ).fetchone()
        return int(count), int(size)

    def end_unneeded_packs(self, now: datetime) -> None:
        """Record since when packs are unneeded of which no file is left."""
        self._write(
            "UPDATE objects SET unneeded_at = ? WHERE kind = 'pack' AND unneeded_at IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM files WHERE object = objects.id)",
            (_text(now),),
        )

    def keep_catalog(self, names: Iterable[str], now: datetime) -> None:
        """Record that the catalog consists of these objects, and of no others."""
        since = _text(now)
        self._write("UPDATE objects SET unneeded_at = coalesce(unneeded_at, ?) WHERE kind = 'catalog'", (since,))
        for name in names:
            self._write("UPDATE objects SET unneeded_at = NULL WHERE name = ?", (name,))

    def unneeded_before(self, moment: datetime) -> list[str]:
        """Return the names of objects that no list names any more since before `moment`, or that none ever did."""
        rows = self._database.execute(
            "SELECT name FROM objects WHERE (listed = 2 AND unneeded_at < ?) OR (listed = 0 AND unneeded_at NOTNULL)",
            (_text(moment),),
        )
        return [str(row[0]) for row in rows]

    def forget_object(self, name: str) -> None:
        """Forget an object, which no longer exists."""
        self._write("DELETE FROM objects WHERE name = ?", (name,))

    def lose_objects_but(self, there: Set[str]) -> frozenset[str]:
        """Forget objects that are gone from the disk, and what was in them; return those that were needed."""
        rows = self._database.execute("SELECT id, name, unneeded_at IS NULL FROM objects").fetchall()
        lost = [(number, name, is_needed) for number, name, is_needed in rows if name not in there]
        for number, _, _ in lost:
            self._write("INSERT OR IGNORE INTO gone SELECT path FROM files WHERE object = ?", (number,))
            self._write("DELETE FROM files WHERE object = ?", (number,))
            self._write("UPDATE objects SET unneeded_at = coalesce(unneeded_at, '') WHERE id = ?", (number,))
        return frozenset(str(name) for _, name, is_needed in lost if is_needed)

    # --- what is to be published ---

    def changes(self) -> int:
        """Return how many lines the catalog is behind, and the list."""
        (count,) = self._database.execute(
            "SELECT (SELECT count(*) FROM files WHERE is_new = 1) + (SELECT count(*) FROM gone)"
            " + (SELECT count(*) FROM objects WHERE kind = 'pack' AND (unneeded_at IS NULL) = (listed <> 1))"
        ).fetchone()
        return int(count)

    def catalog_lines(self, *, is_whole: bool) -> Iterator[bytes]:
        """Yield the catalog's lines: of every file, or of what is new and gone."""
        rows = self._database.execute(_LINES + (_ALL if is_whole else _NEW))
        for path, name, offset, size_bytes, sha256, mode, mtime_ns in rows:
            yield SealedFile(path, name, offset, size_bytes, bytes(sha256).hex(), mode, mtime_ns).line()
        if not is_whole:
            for (path,) in self._database.execute("SELECT path FROM gone ORDER BY path"):
                yield gone_line(path)

    def listed_objects(self, *, is_whole: bool) -> Iterator[tuple[str, int | None]]:
        """Yield the list's objects with their sizes: all that are needed, or what is new and, without one, unneeded."""
        rows = self._database.execute(
            "SELECT name, CASE WHEN unneeded_at IS NULL THEN size_bytes END FROM objects"
            " WHERE CASE WHEN ? THEN unneeded_at IS NULL ELSE (unneeded_at IS NULL) = (listed <> 1) END ORDER BY id",
            (is_whole,),
        )
        yield from rows

    def settle(self, catalog: Iterable[str], now: datetime) -> None:
        """Record that the catalog and the list were published as they are here."""
        self.keep_catalog(catalog, now)
        self._write("UPDATE files SET is_new = 0 WHERE is_new = 1")
        self._write("DELETE FROM gone")
        self._write("UPDATE objects SET listed = CASE WHEN unneeded_at IS NULL THEN 1 ELSE 2 END")


def _connect(file: Path) -> sqlite3.Connection:
    # a pipeline's feeding thread reads the catalog's lines, while the one that opened this waits for it
    database = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        if not is_sound(database):
            raise sqlite3.DatabaseError("pages of it are damaged")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        database.execute("CREATE TEMP TABLE worn (object INTEGER PRIMARY KEY)")
    except BaseException:
        database.close()
        raise
    return database


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


@contextmanager
def state_errors(folder: Path) -> Iterator[None]:
    """Turn what SQLite says of the state inside the block into an error that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        file = folder / STATE_FILE
        raise other_reason(file, error) or PermafrostError(
            f"the state of the sealed media in {file} cannot be used: {error}",
            unchanged="what was sealed until now",
            hint="move the file away; the next run makes another",
        ) from error
