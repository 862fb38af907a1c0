"""A state that version 1 left is continued: without it, every table would have to be stored again from the beginning.

Version 1 kept all rows of a segment as one value, beside its chain. At first it had no hashes; those rows are believed
as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from permafrost.segments.body import pack_body
from permafrost.segments.packing import unpack_rows

_COLUMNS = {
    "facts": "name, value",
    "objects": "name, kind, size_bytes",
    "tables": "id, signature",
    "segments": "table_id, number, scan_digest, row_count, chain, known",
}


def is_of_version_1(database: sqlite3.Connection) -> bool:
    """Return whether its segments are as version 1 kept them."""
    return "known" in _columns_of_segments(database)


def upgrade(database: sqlite3.Connection, new_tables: Sequence[str], hash_of: Callable[..., bytes]) -> None:
    """Rewrite the segments of version 1 within the open transaction; raise `ValueError` if one is damaged.

    `new_tables` are the statements that make the tables `segments` and `bodies`, `hash_of` what the hash of a row is.
    """
    if "hash" not in _columns_of_segments(database):
        database.create_function("hash_of", -1, hash_of, deterministic=True)
        for table, names in _COLUMNS.items():
            database.execute(f"ALTER TABLE {table} ADD COLUMN hash BLOB")
            database.execute(f"UPDATE {table} SET hash = hash_of({names})")  # noqa: S608 - constants of this module
    database.execute("ALTER TABLE segments RENAME TO old_segments")
    for statement in new_tables:
        database.execute(statement)
    for key in database.execute("SELECT table_id, number FROM old_segments").fetchall():
        scan_digest, row_count, chain, known, found = database.execute(
            "SELECT scan_digest, row_count, chain, known, hash FROM old_segments WHERE table_id = ? AND number = ?", key
        ).fetchone()
        rows = unpack_rows(known)
        if found != hash_of(*key, scan_digest, row_count, chain, known) or len(rows) != row_count:
            raise ValueError("a segment of the state is not what was written")
        packed = pack_body(rows)
        row = (*key, scan_digest, row_count, chain, b"", hash_of(*key, packed))
        database.execute("INSERT INTO bodies VALUES (?, ?, ?)", (*key, packed))
        database.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, hash_of(*row)))
    database.execute("DROP TABLE old_segments")


def _columns_of_segments(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM pragma_table_info('segments')")}
