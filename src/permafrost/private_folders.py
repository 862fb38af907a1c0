"""Folders of our own in places where other users write too, such as /dev/shm and /var/tmp.

Rules kept here:
1. A folder is made under a name that nobody can guess, closed to all others. One that exists already is ours only if
   its descriptor shows a folder, no link, of our user, which nobody else may list or write to.
2. Its maker locks a file inside it by flock(2), which the kernel lets go with the process. Nobody else can enter, so
   nobody else can hold or fake that lock: a folder of ours whose lock is free was left by a killed process.
3. Nothing is removed through a link: shutil.rmtree opens every folder without following links and compares it with
   what it has listed (its `avoids_symlink_attacks`).
4. A folder is only as safe as those above it: `check_place` accepts a place if each of them belongs to us or to root,
   and is writable for nobody else or has the sticky bit, so that nobody else can rename what we make there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from permafrost.errors import ConfigurationError

LOCK = ".permafrost-lock"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_REMOVALS, _PAUSE_S = 4, 0.05
_NOT_PRIVATE = 0o067  # a group may pass through, as a server's user has to


class NotOwnFolderError(OSError):
    """There is something else than a folder of our own that is closed to all others."""


def open_own_folder(folder: Path) -> int:
    """Return a descriptor of `folder`; raise `NotOwnFolderError` unless it is a folder of ours, closed to all others.

    Raise `FileNotFoundError` if nothing is there.
    """
    try:
        descriptor = os.open(folder, _FOLDER)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EACCES):
            raise NotOwnFolderError(errno.EPERM, "not a folder of our own", str(folder)) from error
        raise
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & _NOT_PRIVATE:
        os.close(descriptor)
        raise NotOwnFolderError(errno.EPERM, "not a folder of our own, closed to all others", str(folder))
    return descriptor


def is_own_folder(folder: Path) -> bool:
    """Return whether `folder` is a folder of ours, no link, and closed to all others."""
    try:
        os.close(open_own_folder(folder))
    except OSError:
        return False
    return True


def remove_own_folder(folder: Path) -> None:
    """Remove `folder` with all that is in it, if it is one of ours; what cannot be removed stays."""
    if is_own_folder(folder):
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove `folder` with all that is in it; what cannot be removed stays.

    A process that is just ending may still have made a file in it while it was listed: it is tried again then.
    """
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE_S)


@contextmanager
def locked_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new private folder in `parent`, locked as in use; it is removed after the block."""
    folder, lock = _made_and_locked(parent, prefix)
    try:
        yield folder
    finally:
        remove_own_folder(folder)
        os.close(lock)


def remove_abandoned(parent: Path, prefix: str, end: Callable[[Path], object] = lambda _: None) -> None:
    """Remove the folders of ours in `parent` whose makers were killed; `end` is called with each before.

    Those in use, and anything else with such a name, stay as they are.
    """
    for folder in _named(parent, prefix):
        remove_if_abandoned(folder, end)


def remove_if_abandoned(folder: Path, end: Callable[[Path], object], lock_name: str = LOCK) -> None:
    """Remove `folder` after a call of `end`, if it is one of ours and the lock in it is free."""
    with suppress(OSError):  # not ours, in use, or removed by somebody else meanwhile
        lock = _open_lock(folder, lock_name)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end(folder)
            remove_own_folder(folder)
        finally:
            os.close(lock)


def own_folders(place: Path, prefix: str) -> list[Path]:
    """Return the private folders of ours in `place` whose names begin with `prefix`, sorted."""
    return [folder for folder in _named(place, prefix) if is_own_folder(folder)]


def _named(parent: Path, prefix: str) -> list[Path]:
    """Return what has a name in `parent` that begins with `prefix`, sorted; nothing if another process removes it."""
    try:
        return sorted(file for file in parent.iterdir() if file.name.startswith(prefix))
    except FileNotFoundError:
        return []


def check_place(parent: Path) -> None:
    """Return if no other user can rename what we make in `parent`; raise `ConfigurationError` naming who can."""
    for folder in (resolved := Path(os.path.realpath(parent)), *resolved.parents):
        status = folder.stat()
        is_trusted = status.st_uid in (0, os.geteuid())
        is_closed = not status.st_mode & stat.S_IWOTH and (
            not status.st_mode & stat.S_IWGRP or status.st_gid == os.getegid()
        )
        if not is_trusted or not (is_closed or status.st_mode & stat.S_ISVTX):
            raise ConfigurationError(
                f"another user could exchange a folder below {folder} for one of their own",
                hint="choose a folder below /var/tmp, or one whose parents only you and root can write to",
                unchanged="nothing was started",
            )


def _made_and_locked(parent: Path, prefix: str) -> tuple[Path, int]:
    """Return a new folder and the descriptor of its held lock.

    Until it is locked it looks abandoned, and another process may remove it; then another one is made.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):
            lock = _open_lock(folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return folder, lock
            os.close(lock)


def _open_lock(folder: Path, name: str = LOCK) -> int:
    opened = open_own_folder(folder)
    try:
        return os.open(name, _LOCK_FILE, 0o600, dir_fd=opened)
    finally:
        os.close(opened)
