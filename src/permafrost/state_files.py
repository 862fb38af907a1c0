"""SQLite files of a state folder. Each is a cache or a record: a damaged one is set aside, and work continues without
it.

Whatever a disk, a power cut or a hand has done to such a file, no backup may depend on it. What SQLite refuses because
the disk is full, another process writes, or the file may not be written says nothing about the file, and is an error.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from permafrost.errors import ConfigurationError, LockedError, PermafrostError, SpaceError

_SIDE_FILES = ("-journal", "-wal", "-shm")
_MOST_SET_ASIDE = 100


class DamagedStateError(Exception):
    """A file is not what a run has left there: set it aside, and go on without it."""


class OtherVersionError(DamagedStateError):
    """A file is of a version of permafrost that this one does not know; with it, what holds for damage."""


def other_reason(file: Path, error: sqlite3.Error) -> PermafrostError | None:
    """Return the error to raise if SQLite failed for another reason than damage, None if the file is damaged."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return SpaceError(f"no space left on the disk for {file}", hint="make room, and run the command again")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LockedError(
                f"another process is writing to {file}", hint="run the command again when it has finished"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return ConfigurationError(
                f"{file} cannot be written: {error}", hint="check the owner and mode of the state folder: [state] path"
            )
    return None


def is_sound(database: sqlite3.Connection) -> bool:
    """Return whether every page of the database is what it should be. Reads all of it."""
    try:
        return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def is_time(column: str) -> str:
    """Return SQL that is 1 if the column has a moment as our files have it, in UTC; otherwise 0 or NULL.

    All is done by SQLite itself: a file may have hundreds of thousands of rows.
    """
    digit = "[0-9]"
    day = f"[12]{digit * 3}-{digit * 2}-{digit * 2}"
    second = f"{day}T{digit * 2}:{digit * 2}:{digit * 2}"
    # Python leaves the fraction of a whole second out, unless it is asked for
    is_form = f"({column} GLOB '{second}.{digit * 6}+00:00' OR {column} GLOB '{second}+00:00')"
    # 31 February is taken, but is another day when it is written out
    same = f"strftime('%Y-%m-%dT%H:%M:%S', {column}, '+0 seconds') = substr({column}, 1, 19)"
    return f"({is_form} AND {same})"


def is_no_file(file: Path) -> bool:
    """Return whether something else than a regular file is in the file's place."""
    return os.path.lexists(file) and (file.is_symlink() or not file.is_file())


def set_aside(file: Path) -> Path:
    """Rename the file to one that nobody reads, and remove what SQLite keeps beside it; return the new place.

    Only the last damaged file is kept. Raise `OSError` if the folder cannot be written.
    """
    aside = file.with_name(f"{file.name}.damaged")
    if is_no_file(file) or is_no_file(aside):
        names = (file.with_name(f"{file.name}.damaged-{number}") for number in range(1, _MOST_SET_ASIDE))
        aside = next((name for name in names if not os.path.lexists(name)), aside)
    with suppress(FileNotFoundError):
        file.rename(aside)
    for ending in _SIDE_FILES:
        side = file.with_name(file.name + ending)
        if is_no_file(side):
            set_aside(side)
        else:
            side.unlink(missing_ok=True)
    return aside
