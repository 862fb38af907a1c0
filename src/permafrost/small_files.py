"""The one way to open what others may have put in a file's place: no link is followed, nothing is waited for.

A FIFO would block whoever opens it, a link would lead elsewhere, a device has no end, a giant would fill the memory.
So a file is opened without following or waiting, and counts only if the open file is a regular one. Folders on the way
are opened one by one for the same reason.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_FILE = (errno.ELOOP, errno.ENXIO, errno.ENODEV)  # a link, a socket, a device without a driver


class NotAFileError(OSError):
    """There is something else than a regular file of at most the size that was expected, or than a folder."""

    def __init__(self, name: object, fault: str) -> None:
        super().__init__(errno.EINVAL, fault, str(name))
        self._text = f"{name} is {fault}"

    def __str__(self) -> str:
        return self._text


def open_regular(file: Path | str, *, folder: int | None = None) -> int:
    """Return a descriptor on a regular file, in the opened `folder` if given.

    Raise `FileNotFoundError` if there is none, `NotAFileError` if there is something else.
    """
    try:
        descriptor = os.open(file, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise NotAFileError(repr(str(file)), "not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(repr(str(file)), "not a regular file")
    return descriptor


def read_small(file: Path | str, limit_bytes: int, *, folder: int | None = None) -> bytes:
    """Return the file's bytes; raise `FileNotFoundError` if there is none, `NotAFileError` if it is none, or larger."""
    with os.fdopen(open_regular(file, folder=folder), "rb") as opened:
        content = opened.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise NotAFileError(repr(str(file)), f"larger than {limit_bytes} bytes")
    return content


def open_named(file: Path) -> int:
    """Return a descriptor on the regular file that a person has named; it may be a link to one.

    Raise `FileNotFoundError` if there is none, `NotAFileError` if there is something else.
    """
    return open_regular(os.path.realpath(file))


def read_named(file: Path, limit_bytes: int) -> bytes:
    """Return the bytes of the file that a person has named, or of what it is a link to; raise as `read_small` does."""
    return read_small(os.path.realpath(file), limit_bytes)


@contextmanager
def opened_folder(root: Path, *names: str) -> Iterator[int]:
    """Yield a descriptor on the folder `names` below `root`, no link among them followed.

    Raise `FileNotFoundError` if it is not there, `NotAFileError` if something else is.
    """
    descriptor = os.open(root, _FOLDER)
    try:
        for name in names:
            try:
                below = os.open(name, _FOLDER, dir_fd=descriptor)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise NotAFileError("/".join(names), "not a folder") from error
                raise
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)
