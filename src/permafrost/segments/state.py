"""What the log knows about every segment between runs; a cache that can be thrown away at any time.

One SQLite file. A run reads it, writes its changes inside one transaction, and commits only after its snapshot is
published: a crash at any moment leaves the old state, which is still right, since older lines never change.

Each row carries a hash of its key and its values. The checksums inside the values are not enough: a flipped bit in
SQLite's own pages can give a segment the row of another one, whose rows may well lie in the same places. A segment's
body is in a table of its own, since it seldom changes; the segment's row has its hash, so an older one is not believed.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from permafrost.segments.known_segment import Body, KnownSegment
from permafrost.segments.packing import UNREADABLE, unpack_outline, with_objects_named
from permafrost.segments.state_upgrade import is_of_version_1, upgrade
from permafrost.state_files import DamagedStateError, OtherVersionError, is_no_file, other_reason

_VERSION = "2"
_SEGMENTS = (
    """
CREATE TABLE IF NOT EXISTS segments (
    table_id INTEGER NOT NULL, number INTEGER NOT NULL, scan_digest BLOB NOT NULL, row_count INTEGER NOT NULL,
    chain BLOB NOT NULL, patch BLOB NOT NULL, body_hash BLOB NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (table_id, number)
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS bodies (
    table_id INTEGER NOT NULL, number INTEGER NOT NULL, packed BLOB NOT NULL, PRIMARY KEY (table_id, number)
) STRICT
""",
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL, hash BLOB) STRICT;
CREATE TABLE IF NOT EXISTS objects (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, size_bytes INTEGER NOT NULL, hash BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS tables (id INTEGER PRIMARY KEY, signature TEXT NOT NULL, hash BLOB) STRICT;
"""


class SegmentState:
    """The state in one file. Used by several threads; every access is short."""

    def __init__(self, file: Path) -> None:
        """Open or make the state.

        This and every method raise `DamagedStateError` for a file that is not what a run has left, and
        `PermafrostError` where SQLite fails for another reason: the disk, another process.
        """
        self._file = file
        self._lock = threading.RLock()
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with self._judged():
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        if is_no_file(self._file):
            raise DamagedStateError(f"{self._file} is no regular file")
        database = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA cache_size = -8192")  # 8 MiB; a large first run spills to the file
            database.executescript(_SCHEMA)
            version = database.execute("SELECT value FROM facts WHERE name = 'version'").fetchone()
            if is_of_version_1(database) and version in (None, ("1",)):
                _upgrade(database)
            elif version not in (None, (_VERSION,)):
                raise OtherVersionError(f"the state is of another version: {version[0]}")
            for statement in _SEGMENTS:
                database.execute(statement)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Run the block alone; tell damage, whatever it looks like, from what else can go wrong."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                if reason := other_reason(self._file, error):
                    raise reason from error
                raise DamagedStateError(str(error)) from error
            except UNREADABLE as error:
                raise DamagedStateError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the file; what was not committed never happened."""
        with self._lock:
            self._database.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make all changes of the block one: committed at its end, undone if it raises."""
        with self._judged():
            self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with self._lock, suppress(sqlite3.Error):  # a damaged file refuses this too, and is thrown away
                self._database.execute("ROLLBACK")
            raise
        with self._judged():
            self.set_fact("version", _VERSION)
            self._database.execute("COMMIT")

    def fact(self, name: str) -> Any:  # noqa: ANN401 - JSON has any shape
        """Return a fact as it was set, None if it was not."""
        with self._judged():
            row = self._database.execute("SELECT value, hash FROM facts WHERE name = ?", (name,)).fetchone()
            if row is None or name == "version":
                return None
            value, found = row
            _check(found, name, value)
            return json.loads(value)

    def set_fact(self, name: str, value: object) -> None:
        """Set a fact to something that JSON can hold."""
        text = _VERSION if name == "version" else json.dumps(value)
        with self._judged():
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (name, text, _hash_of(name, text)))

    def objects(self) -> dict[str, tuple[str, int]]:
        """Return kind and sealed size of every object that the state refers to, by name."""
        with self._judged():
            rows = self._database.execute("SELECT name, kind, size_bytes, hash FROM objects").fetchall()
            for name, kind, size, found in rows:
                _check(found, name, kind, size)
        return {name: (kind, size) for name, kind, size, _ in rows}

    def replace_objects(self, objects: dict[str, tuple[str, int]]) -> None:
        """Set which objects the state refers to."""
        with self._judged():
            self._database.execute("DELETE FROM objects")
            self._database.executemany(
                "INSERT INTO objects VALUES (?, ?, ?, ?)",
                [(name, kind, size, _hash_of(name, kind, size)) for name, (kind, size) in objects.items()],
            )

    def signatures(self) -> dict[int, str]:
        """Return the signature of every table, by its oid."""
        with self._judged():
            rows = self._database.execute("SELECT id, signature, hash FROM tables").fetchall()
            for table, signature, found in rows:
                _check(found, table, signature)
        return {table: signature for table, signature, _ in rows}

    def set_signature(self, table: int, signature: str) -> None:
        """Set a table's signature."""
        with self._judged():
            self._database.execute(
                "INSERT OR REPLACE INTO tables VALUES (?, ?, ?)", (table, signature, _hash_of(table, signature))
            )

    def segment(self, table: int, number: int) -> KnownSegment | None:
        """Return a segment, None if the state does not know it. Its body is read when its rows are asked for."""
        with self._judged():
            row = self._database.execute(
                "SELECT scan_digest, row_count, chain, patch, body_hash, hash FROM segments"
                " WHERE table_id = ? AND number = ?",
                (table, number),
            ).fetchone()
            if row is None:
                return None
            *values, found = row
            _check(found, table, number, *values)
            scan_digest, row_count, chain, patch, body_hash = values
            body = Body(partial(self._packed_body, table, number, body_hash), body_hash)
            return KnownSegment(scan_digest, row_count, unpack_outline(chain), chain, patch, body)

    def _packed_body(self, table: int, number: int, body_hash: bytes) -> bytes:
        with self._judged():
            row = self._database.execute(
                "SELECT packed FROM bodies WHERE table_id = ? AND number = ?", (table, number)
            ).fetchone()
            if row is None:
                raise DamagedStateError("a segment of the state has lost its rows")
            packed: bytes = row[0]
            _check(body_hash, table, number, packed)
            return packed

    def set_segment(self, table: int, number: int, segment: KnownSegment) -> None:
        """Set a segment; its body is written only if it is a new one."""
        with self._judged():
            body_hash = segment.body.hash
            if not body_hash:
                packed = segment.body.packed()
                body_hash = _hash_of(table, number, packed)
                self._database.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?)", (table, number, packed))
            facts = (segment.scan_digest, segment.row_count, segment.packed_chain, segment.packed_patch)
            row = (table, number, *facts, body_hash)
            self._database.execute(
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, _hash_of(*row))
            )

    def name_objects(self, table: int, number: int, name_of: Mapping[str, str]) -> None:
        """Give objects in the chain of a segment that is known their names, by those that they have until now."""
        known = self.segment(table, number)
        assert known is not None  # noqa: S101 - the run has just set it
        packed = with_objects_named(known.packed_chain, name_of)
        self.set_segment(table, number, replace(known, outline=unpack_outline(packed), packed_chain=packed))

    def forget_segments(self, table: int, from_number: int) -> None:
        """Forget a table's segments from this number on."""
        with self._judged():
            for rows in ("segments", "bodies"):
                self._database.execute(
                    f"DELETE FROM {rows} WHERE table_id = ? AND number >= ?",  # noqa: S608 - constants of this line
                    (table, from_number),
                )

    def forget_table(self, table: int) -> None:
        """Forget a table and its segments."""
        self.forget_segments(table, 0)
        with self._judged():
            self._database.execute("DELETE FROM tables WHERE id = ?", (table,))

    def forget_everything(self) -> None:
        """Forget all: the run starts new bases."""
        with self._judged():
            for table in ("facts", "objects", "tables", "segments", "bodies"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - constants of this line


def _hash_of(*values: str | int | bytes) -> bytes:
    """Return the hash of a row: of its key as it was asked for, then of its values."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        content = value if isinstance(value, bytes) else str(value).encode()
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.digest()


def _check(found: bytes | None, *values: str | int | bytes) -> None:
    """Raise `ValueError` unless these are a row's key and values as they were set."""
    if found != _hash_of(*values):
        raise ValueError("a row of the state is not what was written")


def _upgrade(database: sqlite3.Connection) -> None:
    """Let a state of version 1 be one of this version, in one step."""
    database.execute("BEGIN IMMEDIATE")
    upgrade(database, _SEGMENTS, _hash_of)
    database.execute("INSERT OR REPLACE INTO facts VALUES ('version', ?, ?)", (_VERSION, _hash_of("version", _VERSION)))
    database.execute("COMMIT")
