"""Where a file is until it is whole, and how it gets its place: written by descriptor, synced, renamed.

Neither the folder of unfinished files nor the way to a file's place follows a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from permafrost.repository.durable import space_errors
from permafrost.small_files import NotAFileError

FILE_MODE, FOLDER_MODE = 0o644, 0o755
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PART = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Parts:
    """The folder of unfinished files, on the same file system as the folder `target` that they come to."""

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder = folder
        self._target = target

    @contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """Yield a descriptor on the unfinished file of that name, which is made if there is none."""
        folder = os.open(self._folder, _FOLDER)
        try:
            with space_errors(self._folder):
                part = os.open(name, _PART, FILE_MODE, dir_fd=folder)
            try:
                yield part
            finally:
                os.close(part)
        finally:
            os.close(folder)

    def drop(self, name: str) -> None:
        """Remove an unfinished file."""
        with suppress(FileNotFoundError):
            (self._folder / name).unlink()

    def put(self, name: str, part: int, path: str) -> None:
        """Make the whole file be at `path` below the target, so that a power cut does not take it away again."""
        os.fchmod(part, FILE_MODE)
        os.fsync(part)
        *above, last = path.split("/")
        source = os.open(self._folder, _FOLDER)
        try:
            with space_errors(self._target), _made_folders(self._target, above) as folder:
                os.rename(name, last, src_dir_fd=source, dst_dir_fd=folder)
                os.fsync(folder)
        finally:
            os.close(source)


@contextmanager
def _made_folders(root: Path, names: list[str]) -> Iterator[int]:
    """Yield a descriptor on the folder `names` below the root; what is missing of it is made."""
    folder = os.open(root, _FOLDER)
    try:
        for name in names:
            with suppress(FileExistsError):
                os.mkdir(name, FOLDER_MODE, dir_fd=folder)
                os.fsync(folder)
            try:
                below = os.open(name, _FOLDER, dir_fd=folder)
            except NotADirectoryError as error:
                raise NotAFileError("/".join(names), "not a folder") from error
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)
