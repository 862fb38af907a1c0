"""Which media files a history has of a snapshot's moment: read by anyone who may read the vault's records.

Nothing is written, so it works on a read-only disk, beside a running vault, and with records of older versions.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from permafrost.errors import RepositoryError
from permafrost.vault.arrivals import KEPT

_MODE = """(
    SELECT mode FROM media_modes WHERE media_modes.number = version.number
    ORDER BY since > :at, CASE WHEN since > :at THEN since END, since DESC LIMIT 1)"""
_AS_OF = """
SELECT path, place, {mode} FROM media AS version WHERE (gone_at IS NULL OR gone_at > :at) AND NOT EXISTS (
    SELECT 1 FROM media AS other WHERE other.path = version.path AND other.first_at < version.first_at
    AND (other.gone_at IS NULL OR other.gone_at > :at)) ORDER BY first_at > :at, path
"""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of that moment: its path in Mastodon's media folder, and where it lies below the history."""

    path: bytes
    place: bytes
    mode: int | None
    """Its permission bits then, or the first that are known; None if none are."""


def media_of(records: Path, snapshot: str) -> Iterator[KeptFile]:
    """Yield the files of when the snapshot came; of those that came later only the first versions, and last.

    Raise `RepositoryError` if the records cannot be read, do not know the snapshot as one that is kept, or name a file
    outside of its folder: the records may have come with a copy that somebody hands over.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fspath(records.absolute()))}?mode=ro", uri=True)) as database:
            row = database.execute(
                "SELECT arrived_at FROM snapshots WHERE snapshot = ? AND state = ?", (snapshot, KEPT)
            ).fetchone()
            if row is None or row[0] is None:
                raise RepositoryError(f"the vault's records do not know snapshot {snapshot}")
            has_modes = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'media_modes'").fetchone()
            query = _AS_OF.format(mode=_MODE if has_modes else "NULL")
            for path, place, mode in database.execute(query, {"at": row[0]}):
                kept = KeptFile(bytes(path), bytes(place), mode)
                if leads_outside(kept.path) or leads_outside(kept.place):
                    raise RepositoryError(
                        f"the records in {records} name a file outside of its folder: {kept.path[:100]!r}",
                        hint="a vault writes no such records: somebody else has changed them",
                    )
                yield kept
    except sqlite3.Error as error:
        raise RepositoryError(f"the vault's records in {records} cannot be read: {error}") from error


def leads_outside(path: bytes) -> bool:
    """Return whether a path does not go down from its folder, name by name."""
    return b"\0" in path or any(name in (b"", b".", b"..") for name in path.split(b"/"))
