"""Files that exist only in memory: pg_restore seeks in an archive, and none of it may reach a disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def bytes_in_memory(chunks: Iterable[bytes]) -> Iterator[int]:
    """Yield a descriptor of a file that exists only in memory and holds `chunks`, to be read from its start."""
    descriptor = os.memfd_create("permafrost", os.MFD_CLOEXEC)
    try:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
