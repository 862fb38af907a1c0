"""A temporary GnuPG home for one operation.

gpg insists on a home to write its keyring into. The admin's own must not be touched, and a secret key that is
imported for a restore must not reach a disk, so the home is made in memory where there is such a place: in the folder
that systemd makes for a service, otherwise in /dev/shm. There, systemd-logind removes all that an ordinary user has
once the last session of that user ends (logind.conf(5), RemoveIPC=), homes of a service included.

Homes lie in one private folder of our user's, so that nobody else sees their names. A home that a killed process left
may hold a secret key: the next one removes it, and those of the repository's restore.py as well. Until the versions of
2026-11 homes lay in /dev/shm side by side, at first without a lock: those are removed once they have not changed for a
day, which is longer than any run.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.private_folders import (
    is_own_folder,
    locked_folder,
    own_folders,
    remove_abandoned,
    remove_if_abandoned,
    remove_own_folder,
)
from permafrost.processes.program import Program
from permafrost.processes.run import run

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
_PARENT = "permafrost-homes-"
_HOME = "gpg-"
_READER = "permafrost-reader-"  # restore.py's, in the repository
_OLDER, _OLDER_LOCK = "permafrost-gpg-", "permafrost.lock"
_UNUSED_S = 86400.0
_LONGEST_PLACE = 45  # the path of an agent's socket may have 107 bytes (unix(7)), 60 of them below


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield an empty GnuPG home, mode 0700, in memory if possible; its agent and files are gone afterwards.

    So are those of our homes whose process was killed, wherever they may have been made.
    """
    places = _places()
    for place in places:
        _remove_leftovers(place)
    with ExitStack() as stack:
        home = _entered(stack, places[0])
        stack.callback(stop_agent, home)
        yield home


def _places() -> list[Path]:
    """Return where homes are made, the best place first; restore.py and commands of a person know only the last."""
    in_memory = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK | os.X_OK)
    places = [_IN_MEMORY if in_memory else Path(tempfile.gettempdir())]
    of_service = Path(os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or "/nowhere")
    is_short = len(os.fsencode(of_service)) <= _LONGEST_PLACE
    if is_short and is_own_folder(of_service) and os.access(of_service, os.W_OK):
        places.insert(0, of_service)
    return places


def _remove_leftovers(place: Path) -> None:
    remove_abandoned(place, _READER, _stop_agent_if_any)
    for older in own_folders(place, _OLDER):
        _remove_older(older)
    for parent in own_folders(place, _PARENT):
        remove_abandoned(parent, _HOME, _stop_agent_if_any)


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


def _remove_older(home: Path) -> None:
    """Remove a home that a killed process of an older version left."""
    if (home / _OLDER_LOCK).is_file():
        remove_if_abandoned(home, _stop_agent_if_any, _OLDER_LOCK)
        return
    with suppress(FileNotFoundError):  # another process has just removed it
        if time.time() - home.stat().st_mtime > _UNUSED_S:
            _stop_agent_if_any(home)
            remove_own_folder(home)


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
