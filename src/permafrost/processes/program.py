"""Programs to start, how they exited, and the resulting errors."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from permafrost.errors import ToolError

STATUS_FD = "{status-fd}"
"""In `Program.argv`: replaced by the number of a pipe whose lines become `Finished.status`."""

_PACKAGES = {
    "gpg": "gnupg",
    "gpgconf": "gnupg",
    "zstd": "zstd",
    "pg_dump": "postgresql-client",
    "pg_restore": "postgresql-client",
    "psql": "postgresql-client",
    "syncthing": "syncthing",
    "bwrap": "bubblewrap",
}


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start: its arguments, what its environment adds, and what it needs of ours.

    `user` is the system user it runs as, with that user's groups; only root may name another than itself.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    user: str | None = None

    @property
    def name(self) -> str:
        """The program's own name, without its folder."""
        return Path(self.argv[0]).name


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: exit code (negative: the signal), its stderr, its status lines.

    Of a long stderr the beginning and the end are kept.
    """

    program: Program
    returncode: int
    stderr_tail: str
    status: tuple[str, ...] = ()
    stdout: bytes = b""


class ProgramFailedError(ToolError):
    """A program ended with another exit code than 0; `finished` says how."""

    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        how = (
            f"was ended by signal {-finished.returncode}"
            if finished.returncode < 0
            else f"failed with exit code {finished.returncode}"
        )
        said = finished.stderr_tail.strip()
        super().__init__(f"{finished.program.name} {how}" + (f": {said}" if said else " and printed nothing"))


class SilenceError(ToolError):
    """A program neither produced nor took anything for too long."""


def find_program(name: str) -> str:
    """Return the path of the program `name`; raise `ToolError` with the package to install, if known."""
    path = shutil.which(name)
    if path is None:
        raise ToolError(
            f"the program {name} is not on PATH",
            hint=f"install it, on Debian: apt-get install {_PACKAGES[name]}"
            if name in _PACKAGES
            else f"install it, or put the folder of {name} into PATH",
        )
    return path
