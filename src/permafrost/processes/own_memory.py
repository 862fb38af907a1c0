"""Keeps this process's own memory small."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3
"""The parameter's number in glibc's malloc.h."""
_LARGE_BYTES = 1 << 20


def return_large_blocks() -> None:
    """From now on blocks of 1 MiB and more go back to the system as soon as they are free.

    glibc raises its threshold whenever such a block is freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD): the arrays
    of one segment then stay in a thread's heap as holes between those of the next. Without this, the second run of
    tests/operations/test_memory.py takes 238 MB instead of 182. C libraries without `mallopt` are left as they are.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
