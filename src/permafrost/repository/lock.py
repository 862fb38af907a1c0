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


def check_unlocked(layout: Layout) -> None:
    """Raise `LockedError`, naming the holder, if a run holds the repository at this moment.

    Where there is no repository, nothing holds it. A file without text is not tried: a lock taken for a moment could
    turn away a run that begins just then.
    """
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.pread(descriptor, 1, 0):
            _take(descriptor, "another run holds the repository")
    finally:
        os.close(descriptor)


@contextmanager
def file_lock(file: Path, operation: str, now: datetime, *, what: str) -> Iterator[None]:
    """Hold the lock file for `operation` during the block; raise `LockedError` with `what` and who, if it is held."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise RepositoryError(f"cannot open the lock file {file}: {error.strerror}") from error
    try:
        _take(descriptor, what)
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


def _take(descriptor: int, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LockedError(
            f"{what}: {_holder(descriptor)}",
            unchanged="everything",
            hint="wait until it finishes; a killed run holds no lock, so there is nothing to remove",
        ) from error


def _holder(descriptor: int) -> str:
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        told = json.loads(os.pread(descriptor, 4096, 0))
        return f"{told['operation']}, process {told['pid']}, since {told['since']}"
    return "it did not identify itself"
