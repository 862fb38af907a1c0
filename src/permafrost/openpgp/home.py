"""A temporary GnuPG home for one operation.

gpg insists on a home to write its keyring into. The admin's own must not be touched, and a secret key that is
imported for a restore must not reach a disk, so the home is made in memory where there is such a place.

Homes lie in one private folder of our user's, so that nobody else sees their names. A home that a killed process left
may hold a secret key: the next one removes it, and those of the repository's restore.py as well.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.private_folders import is_own_folder, locked_folder, own_folders, remove_abandoned
from permafrost.processes.program import Program
from permafrost.processes.run import run

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
_PARENT = "permafrost-homes-"
_HOME = "gpg-"
_READER = "permafrost-reader-"  # restore.py's, in the repository


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield an empty GnuPG home, mode 0700, in memory if possible; its agent and files are gone afterwards.

    So are those of our homes there whose process was killed.
    """
    in_memory = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK | os.X_OK)
    place = _IN_MEMORY if in_memory else Path(tempfile.gettempdir())
    remove_abandoned(place, _READER, _stop_agent_if_any)
    for parent in own_folders(place, _PARENT):
        remove_abandoned(parent, _HOME, _stop_agent_if_any)
    with ExitStack() as stack:
        home = _entered(stack, place)
        stack.callback(stop_agent, home)
        yield home


def _entered(stack: ExitStack, place: Path) -> Path:
    """Return a new home, removed when `stack` ends; its parent is, too, unless it has other homes.

    The parent is any folder of ours that has such a name: a fixed one could be occupied by somebody else.
    """
    while True:
        parents = own_folders(place, _PARENT)
        parent = parents[0] if parents else Path(tempfile.mkdtemp(prefix=_PARENT, dir=place))
        with ExitStack() as entered, suppress(FileNotFoundError):  # the last of its other homes has just ended
            entered.callback(_remove_if_empty, parent)
            home = entered.enter_context(locked_folder(parent, _HOME))
            stack.push(entered.pop_all())
            return home


def _remove_if_empty(parent: Path) -> None:
    if is_own_folder(parent):
        with suppress(OSError):
            parent.rmdir()


def _stop_agent_if_any(home: Path) -> None:
    with suppress(ToolError):  # an agent that cannot be reached ends by itself when its home is gone
        stop_agent(home)


def stop_agent(home: Path) -> None:
    """End the gpg-agent of `home`, if one runs: it would otherwise stay for ever."""
    if any(home.glob("S.gpg-agent*")) or (home / "private-keys-v1.d").exists():
        run(Program(("gpgconf", "--homedir", str(home), "--kill", "gpg-agent")), timeout_s=10)


CLOCK_IS_BEHIND = "time warp or clock problem"
"""What gpg prints of a key that was made in what the clock takes for the future."""

ANY_CLOCK = "--ignore-time-conflict"
"""What reads must say: on disaster day a machine's clock may be years behind, and the keys as good as ever."""


def gpg(home: Path, *words: str) -> Program:
    """Return a gpg command line with the options that every call of ours has; status lines are collected."""
    return Program(
        (
            "gpg",
            "--homedir",
            str(home),
            "--batch",
            "--no-tty",
            "--no-options",
            "--status-fd",
            "{status-fd}",
            *words,
        )
    )
