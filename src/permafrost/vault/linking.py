"""Takes files from a folder that somebody else writes to, so that what was checked is what is kept.

A received folder is in the server's hands: names in it may be symbolic links, pipes or folders, and may change
between two looks. So no path is followed: folders are opened one by one without following links. A file is first
linked to a name of our own, and then that link is looked at and read. Syncthing replaces files by rename and never
writes into one that is complete, so the link's bytes stay; `vault verify` would notice if they did not.

A file system that cannot make hard links gets a copy, which costs the space again.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

from permafrost.repository.durable import space_errors
from permafrost.repository.objects import StoredObject
from permafrost.small_files import NotAFileError, open_regular

_READ_BYTES = 1 << 20
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)

HashSteps = Generator[int, None, StoredObject]


def status_of(folder: int, name: str) -> os.stat_result | None:
    """Return the status of a regular file; None if there is none; raise `NotAFileError` if it is something else."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise NotAFileError(repr(name), "not a regular file")
    return status


def take(folder: int, name: str, staged: Path) -> os.stat_result:
    """Make `staged` be the file that `name` is in `folder` now, linked or else copied; return its status.

    Raise `FileNotFoundError` if it is gone, `NotAFileError` if it is not a regular file; `staged` is not there then.
    """
    with suppress(FileNotFoundError):
        staged.unlink()
    with space_errors(staged.parent):
        try:
            os.link(name, staged, src_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(folder, name, staged)
    status = staged.lstat()
    if not stat.S_ISREG(status.st_mode):
        staged.unlink()
        raise NotAFileError(repr(name), "not a regular file")
    return status


def _copy(folder: int, name: str, staged: Path) -> None:
    if status_of(folder, name) is None:
        raise FileNotFoundError(errno.ENOENT, "gone", name)
    with os.fdopen(open_regular(name, folder=folder), "rb", buffering=0) as reading:
        target = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(target, "wb") as writing:
            while chunk := reading.read(_READ_BYTES):
                writing.write(chunk)
            writing.flush()
            os.fsync(writing.fileno())


def hashing(path: Path, *, from_disk: bool = False) -> HashSteps:
    """Return what an object with the bytes of the file `path` would be named, and their count; no link is followed.

    In steps, which yield the bytes read so far: a file of any size can be left and resumed. `from_disk`: what the
    kernel remembers of the file is forgotten first, so that the disk is what is read.
    """
    return _steps(open_regular(path), from_disk=from_disk)


def hashing_within(folder: int, name: str) -> HashSteps:
    """Do the same with a file in an opened folder; raise `NotAFileError` if it is none."""
    return _steps(open_regular(name, folder=folder))


def finished(steps: HashSteps) -> StoredObject:
    """Return what the steps come to, however long that takes."""
    found = finished_by(math.inf, steps)
    assert found is not None  # noqa: S101 - there is no end of the time
    return found


def finished_by(
    until: float, steps: HashSteps, on_bytes: Callable[[int], object] = lambda _done: None
) -> StoredObject | None:
    """Return what the steps come to, None if that takes longer than until `until` (monotonic): they can be resumed.

    `on_bytes` hears how many bytes were read so far.
    """
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            found: StoredObject = end.value
            return found
        on_bytes(done)
        if time.monotonic() > until:
            return None


def _steps(descriptor: int, *, from_disk: bool = False) -> HashSteps:
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if from_disk:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        digest = hashlib.sha256()
        size = 0
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
            size += len(chunk)
            yield size
    return StoredObject(digest.hexdigest(), size)
