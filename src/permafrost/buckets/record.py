"""What is known to be in a bucket: every file that was put there, with its version, and until when it is locked.

SQLite in the state folder. It saves requests, and losing it loses nothing: what is in the bucket is then put there
once more. Whoever may only write cannot ask a bucket what it holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from permafrost.config.buckets import Bucket
from permafrost.repository.layout import SnapshotId
from permafrost.state_files import is_no_file, is_sound, other_reason, set_aside

BUCKETS = "buckets"
"""The folder of the records, in the state folder."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, version TEXT NOT NULL, tag TEXT NOT NULL,
    locked_until REAL, read_at REAL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (id TEXT PRIMARY KEY, whole_at REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    path TEXT PRIMARY KEY, upload TEXT NOT NULL, part_bytes INTEGER NOT NULL, locked_until REAL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    path TEXT, number INTEGER, tag TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (path, number)) STRICT, WITHOUT ROWID;
"""
_COLUMNS = "path, sha256, size_bytes, version, tag, locked_until, read_at"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file of the repository that is in the bucket. `read_at` is when it was last downloaded and compared."""

    path: str
    sha256: str
    size_bytes: int
    version: str
    tag: str
    locked_until: datetime | None
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PartsUpload:
    """An upload in parts that was begun; `parts` are those that arrived, each with its tag and SHA-256, by number."""

    upload: str
    part_bytes: int
    locked_until: datetime | None
    parts: Mapping[int, tuple[str, str]]


def record_file(state: Path, bucket: Bucket, repository_id: str, ending: str) -> Path:
    """Return where a bucket's file about a repository is; a repository that was set up again begins a new one."""
    return state / BUCKETS / f"{bucket.name}-{repository_id[:16]}{ending}"


class BucketRecord:
    """The record in an SQLite file. One process writes it at a time."""

    def __init__(self, file: Path) -> None:
        """Open or make it; a damaged one is set aside. Raise `PermafrostError` if that cannot be done."""
        self._file = file
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if is_no_file(file):
            set_aside(file)
        with self._opened() as database:
            sound = is_sound(database)
        if not sound:
            set_aside(file)
        try:
            self._prepare()
        except sqlite3.Error as error:
            if reason := other_reason(file, error):
                raise reason from error
            set_aside(file)  # its pages are sound, and it is not what we have left there
            self._prepare()

    def _prepare(self) -> None:
        with self._opened() as database:
            database.executescript(_SCHEMA)
            database.execute(f"SELECT {_COLUMNS} FROM files LIMIT 1")  # noqa: S608 - a constant
            database.execute("SELECT id, whole_at FROM snapshots LIMIT 1")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=30)) as database, database:
            yield database

    def files(self, paths: Iterable[str] | None = None) -> dict[str, Uploaded]:
        """Return what is in the bucket, by path: of these paths, or all."""
        query = f"SELECT {_COLUMNS} FROM files"  # noqa: S608 - a constant
        with self._opened() as database:
            if paths is None:
                rows = database.execute(query).fetchall()
            else:
                rows = [row for path in paths for row in database.execute(f"{query} WHERE path = ?", (path,))]
        return {row[0]: _uploaded(row) for row in rows}

    def put(self, files: Iterable[Uploaded]) -> None:
        """Record files that are in the bucket, durably."""
        rows = [
            (
                one.path,
                one.sha256,
                one.size_bytes,
                one.version,
                one.tag,
                _seconds(one.locked_until),
                _seconds(one.read_at),
            )
            for one in files
        ]
        with self._opened() as database:
            database.executemany(f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608

    def forget(self, paths: Iterable[str]) -> None:
        """Forget files that are no longer in the bucket, and the snapshots that are no longer whole without them."""
        gone = [(path,) for path in paths]
        with self._opened() as database:
            database.executemany("DELETE FROM files WHERE path = ?", gone)

    def whole(self) -> dict[str, datetime]:
        """Return the snapshots that are in the bucket with all that they need, and since when."""
        with self._opened() as database:
            known = {name: _moment(at) for name, at in database.execute("SELECT id, whole_at FROM snapshots")}
        return {name: at for name, at in known.items() if at is not None and SnapshotId.is_name(name)}

    def add_whole(self, snapshot: str, now: datetime) -> None:
        """Record that a snapshot is in the bucket with all that it needs."""
        with self._opened() as database:
            database.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?)", (snapshot, now.timestamp()))

    def forget_whole(self, snapshots: Iterable[str]) -> None:
        """Forget that these snapshots are in the bucket."""
        with self._opened() as database:
            database.executemany("DELETE FROM snapshots WHERE id = ?", [(snapshot,) for snapshot in snapshots])

    # --- uploads in parts that are under way ---

    def parts(self, path: str) -> PartsUpload | None:
        """Return what is known of a file's upload in parts, None if none is under way."""
        with self._opened() as database:
            row = database.execute(
                "SELECT upload, part_bytes, locked_until FROM uploads WHERE path = ?", (path,)
            ).fetchone()
            rows = database.execute("SELECT number, tag, sha256 FROM parts WHERE path = ?", (path,)).fetchall()
        if row is None:
            return None
        return PartsUpload(row[0], row[1], _moment(row[2]), {number: (tag, sha256) for number, tag, sha256 in rows})

    def begun_parts(self) -> list[str]:
        """Return the files whose uploads in parts are under way."""
        with self._opened() as database:
            return [path for (path,) in database.execute("SELECT path FROM uploads")]

    def begin_parts(self, path: str, upload: PartsUpload) -> None:
        """Record that an upload in parts was begun."""
        row = (path, upload.upload, upload.part_bytes, _seconds(upload.locked_until))
        with self._opened() as database:
            database.execute("DELETE FROM parts WHERE path = ?", (path,))
            database.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)", row)

    def add_part(self, path: str, number: int, tag: str, sha256: str) -> None:
        """Record that a part has arrived."""
        with self._opened() as database:
            database.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", (path, number, tag, sha256))

    def forget_parts(self, path: str) -> None:
        """Forget an upload in parts: it is finished, abandoned, or unknown to the store."""
        with self._opened() as database:
            database.execute("DELETE FROM parts WHERE path = ?", (path,))
            database.execute("DELETE FROM uploads WHERE path = ?", (path,))


def _uploaded(row: tuple[Any, ...]) -> Uploaded:
    path, sha256, size_bytes, version, tag, locked_until, read_at = row
    return Uploaded(path, sha256, size_bytes, version, tag, _moment(locked_until), _moment(read_at))


def _moment(seconds: float | None) -> datetime | None:
    """Return a moment that was recorded; None if there is none, or what is there is no time: it is found out again."""
    with suppress(OverflowError, ValueError, OSError):
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return None


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
