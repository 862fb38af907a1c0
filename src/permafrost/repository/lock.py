"""One run at a time: an advisory lock on the repository's lock file.

The kernel drops a flock(2) with its holder, so a crash or a kill leaves nothing to clean; the file's text only
tells who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from permafrost.errors import LockedError, RepositoryError
from permafrost.repository.layout import Layout


@contextmanager
def repository_lock(layout: Layout, operation: str, now: datetime) -> Iterator[None]:
    """Hold the repository for `operation` during the block; raise `LockedError`, naming the holder, if it is held."""
    with file_lock(layout.lock, operation, now, what="another run holds the repository"):
        yield


@contextmanager
def file_lock(file: Path, operation: str, now: datetime, *, what: str) -> Iterator[None]:
    """Hold the lock file for `operation` during the block; raise `LockedError` with `what` and who, if it is held."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise RepositoryError(f"cannot open the lock file {file}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(
                f"{what}: {_holder(descriptor)}",
                unchanged="everything",
                hint="wait until it finishes; a killed run holds no lock, so there is nothing to remove",
            ) from error
        told = {
            "operation": operation,
            "pid": os.getpid(),
            "since": now.astimezone(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(told).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        told = json.loads(os.pread(descriptor, 4096, 0))
        return f"{told['operation']}, process {told['pid']}, since {told['since']}"
    return "it did not identify itself"
