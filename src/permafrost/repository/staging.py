"""Files and folders that are prepared elsewhere and then appear together, or not at all.

Each is built in a hidden folder beside its final place, so that it can be put there by one link or rename that
fails if something is there. If the block fails, everything that it made is taken away again, and nothing else. What
a killed run left in its hidden folder is removed by the next one that builds beside it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from permafrost.errors import ConfigurationError
from permafrost.private_folders import locked_folder, remove_abandoned
from permafrost.repository.durable import fsync_folder, space_errors

STAGING_PREFIX = ".permafrost-init-"


class Placing:
    """Use as a context manager: `stage` the places, build there, then `place` all."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._staging: dict[Path, Path] = {}
        self._staged: list[tuple[Path, Path]] = []
        self._made_folders: list[Path] = []
        self._placed: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if error is not None:
            for path in self._placed:
                _remove(path)
            for folder in reversed(self._made_folders):
                with suppress(OSError):  # something that is not ours may lie in it by now
                    folder.rmdir()

    def stage(self, final: Path) -> Path:
        """Return where to build what will appear at `final`; parents of `final` are made."""
        parent = final.parent
        if parent not in self._staging:
            self.make_folder(parent, 0o755)
            remove_abandoned(parent, STAGING_PREFIX)
            with space_errors(parent):
                self._staging[parent] = self._open.enter_context(locked_folder(parent, STAGING_PREFIX))
        staged = self._staging[parent] / final.name
        self._staged.append((staged, final))
        return staged

    def make_folder(self, folder: Path, mode: int) -> None:
        """Make `folder` with `mode`, and its missing parents with 0755; an existing one stays as it is."""
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            with space_errors(path.parent):
                path.mkdir(mode=0o755)
            self._made_folders.append(path)
            path.chmod(mode if path == folder else 0o755)
            fsync_folder(path.parent)

    def place(self) -> None:
        """Put all that was staged into its place, in the order of staging.

        Raise `ConfigurationError` if something has appeared at one of the places.
        """
        for staged, final in self._staged:
            try:
                if staged.is_dir():
                    final.mkdir(mode=0o700)  # fails if anything is there; an empty folder is replaced by rename
                    self._placed.append(final)
                    staged.rename(final)
                else:
                    os.link(staged, final, follow_symlinks=False)  # rename would replace what is there
                    self._placed.append(final)
            except FileExistsError as error:
                raise ConfigurationError(
                    f"{final} appeared in the meantime", unchanged="everything that existed"
                ) from error
        for parent in self._staging:
            fsync_folder(parent)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
