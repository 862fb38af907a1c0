"""Walks a tree that somebody else writes to: every regular file, no link followed, and no bad path ends it.

One open folder per level and no list of files, so memory does not grow with their number. Paths are bytes, as file
systems have them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

DEEPEST = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_SYNCTHING = frozenset((b".stfolder", b".stignore", b".stversions"))
"""At the top only, and only these names exactly; anything else with such a beginning is a file like any other."""
_UNFINISHED = (b".syncthing.", b"~syncthing~")
OddSink = Callable[[bytes, str], None]
"""Takes the path of what is passed over, below the root, and why."""


def files_below(
    root: bytes,
    odd: OddSink,
    entered: Callable[[], object] = lambda: None,
    leaves_out: Callable[[bytes], bool] = lambda _: False,
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield folder descriptor, path below `root` and name of each regular file; no link is followed.

    What is no regular file, too deep, or cannot be opened goes to `odd`. `entered` is called for each folder. Folders
    that `leaves_out` says so of are not read, by their paths below `root`.
    """
    levels: list[tuple[int, bytes, Iterator[os.DirEntry[str]]]] = []
    try:
        _enter(levels, None, root, b"", odd)
        while levels:
            folder, path, entries = levels[-1]
            try:
                entry = next(entries, None)
            except OSError as error:
                odd(path, _reason(error))
                entry = None
            if entry is None:
                os.close(levels.pop()[0])
                continue
            name = os.fsencode(entry.name)
            if _is_syncthings(path, name):
                continue
            below = os.path.join(path, name)
            if entry.is_file(follow_symlinks=False):
                yield folder, below, name
            elif not entry.is_dir(follow_symlinks=False):
                odd(below, "it is a link, a pipe or a device")
            elif len(levels) >= DEEPEST:
                odd(below, f"it is more than {DEEPEST} folders deep")
            elif not leaves_out(below) and _enter(levels, folder, name, below, odd):
                entered()
    finally:
        for folder, _, _ in levels:
            os.close(folder)


def _is_syncthings(path: bytes, name: bytes) -> bool:
    return name.startswith(_UNFINISHED) or (not path and name in _OF_SYNCTHING)


def _enter(
    levels: list[tuple[int, bytes, Iterator[os.DirEntry[str]]]],
    above: int | None,
    name: bytes,
    path: bytes,
    odd: OddSink,
) -> bool:
    """Open the folder as the next level; return whether that was possible."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=above)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):  # replaced since it was listed
            odd(path, _reason(error))
        return False
    try:
        levels.append((folder, path, os.scandir(folder)))
    except OSError as error:
        os.close(folder)
        odd(path, _reason(error))
        return False
    return True


class Presence:
    """Answers whether files are in a tree, no link on the way followed; the folder asked for last stays open."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._path: bytes | None = None
        self._folder: int | None = None
        self._is_unknown = False

    def close(self) -> None:
        """Close the folder."""
        if self._folder is not None:
            os.close(self._folder)
        self._path = self._folder = None

    def inode(self, path: bytes) -> int | None:
        """Return the inode of the regular file at `path` below the root, None if there is none."""
        status = self._status(path)
        return status.st_ino if status is not None and stat.S_ISREG(status.st_mode) else None

    def is_gone(self, path: bytes) -> bool:
        """Return whether there is nothing at `path`; what cannot be looked at is not gone."""
        return self._status(path) is None and not self._is_unknown

    def _status(self, path: bytes) -> os.stat_result | None:
        self._is_unknown = False
        above, name = os.path.split(path)
        if above != self._path:
            self.close()
            self._folder, self._path = self._opened(above), above
        if self._folder is None:
            if self._is_unknown:
                self._path = None
            return None
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError as error:
            self._is_unknown = error.errno != errno.ENOENT
            return None

    def _opened(self, path: bytes) -> int | None:
        folder = None
        try:
            folder = os.open(self._root, _FOLDER)
            for part in path.split(b"/") if path else ():
                below = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
        except OSError as error:
            if folder is not None:
                os.close(folder)
            self._is_unknown = error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
            return None
        return folder


def _reason(error: OSError) -> str:
    return f"it cannot be read: {error.strerror}"
