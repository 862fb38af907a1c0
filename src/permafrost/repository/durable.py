"""Files and folders that survive a power cut.

A write counts once the file's bytes and its folder's entry are both on the disk: write, fsync, rename, fsync of
the folder (rename(2) is atomic, but only fsync of the folder makes it last).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from permafrost.errors import SpaceError


@contextmanager
def space_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk or an exceeded quota inside the block into a `SpaceError` that names `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpaceError(
                f"no space left on the disk that holds {folder}",
                unchanged="all existing snapshots",
                hint="make room, or prune with a shorter retention, and run the command again",
            ) from error
        raise


def fsync_folder(folder: Path) -> None:
    """Make the entries of `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes, mode: int) -> None:
    """Put `content` at `path`, replacing what was there in one step; old or new is there at any time."""
    temporary = path.with_name(f".{path.name}.new")
    with space_errors(path.parent):
        try:
            write_new_file(temporary, content, mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    fsync_folder(path.parent)


def write_new_file(path: Path, content: bytes, mode: int) -> None:
    """Write the file `path`, with `mode`, and sync its bytes; the folder's entry is the caller's to sync."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask says
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_folder_durably(folder: Path, mode: int = 0o755) -> None:
    """Make `folder` and its missing parents, so that a power cut does not take them away again."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_folder_durably(folder.parent, mode)
    with space_errors(folder.parent):
        folder.mkdir(mode=mode, exist_ok=True)
    fsync_folder(folder.parent)
