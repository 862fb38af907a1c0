"""How Syncthing 2.x brings the database of 1.x into its own form, at its first start on a home of 1.x.

Until that is done its API does not answer, or answers every request with the log as plain text. It takes longer the
more files there are; if it is ended meanwhile, it begins again. Whether it moves shows in what it writes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_OLD = "index-v0.14.0.db"  # renamed when all of it was taken over
_NEW = "index-v2"


def is_converting(home: Path) -> bool:
    """Return whether the home has a database of 1.x that 2.x has begun to take over."""
    return (home / _OLD).is_dir() and (home / _NEW).is_dir()


def conversion_mark(home: Path) -> frozenset[tuple[str, int, int]]:
    """Return what changes while the conversion moves: name, size in bytes and change time in ns of each new file."""
    mark = set()
    with suppress(OSError):
        for path in (home / _NEW).iterdir():
            with suppress(FileNotFoundError):
                found = path.stat()
                mark.add((path.name, found.st_size, found.st_mtime_ns))
    return frozenset(mark)
