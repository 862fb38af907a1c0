"""Safe reading of a small file that others may have put there: follows no link, never blocks, limits the size.

A FIFO in a file's place would block whoever opens it, a link would lead elsewhere, a giant would fill the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotASmallFileError(OSError):
    """There is something else than a regular file of at most the size that such a file can have."""


def read_small(file: Path, limit_bytes: int) -> bytes:
    """Return the file's bytes. Raise `FileNotFoundError` if there is none, `NotASmallFileError` if it is none."""
    try:
        descriptor = os.open(file, _FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise NotASmallFileError(errno.EINVAL, "not a regular file", str(file)) from error
        raise
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotASmallFileError(errno.EINVAL, "not a regular file", str(file))
        content = opened.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise NotASmallFileError(errno.EFBIG, f"larger than {limit_bytes} bytes", str(file))
    return content
