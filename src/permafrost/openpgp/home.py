"""A GnuPG home of our own, for one operation, that vanishes with it.

gpg insists on a home to write its keyring into. The admin's own must not be touched, and a secret key that is
imported for a restore must not reach a disk, so the home is made in memory where there is such a place.

Whoever made a home holds a lock in it, by flock(2), which the kernel lets go with the process. So the next one can
tell the home of a process that was killed, which may hold a secret key, and take it away. A home gets its name only
once it is locked; there is no moment in which a living one looks abandoned.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.processes.program import Program
from permafrost.processes.run import run

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private folder in it
_PREFIX = "permafrost-gpg-"
_UNNAMED = f"{_PREFIX}new-"
_LOCK = "permafrost.lock"
_NAMELESS_S = 60.0  # to lock and name a home takes no time; one that has no name after this was left, and is empty


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield an empty GnuPG home, mode 0700, in memory if possible; its agent and files are gone afterwards.

    So are those of our homes there whose process was killed.
    """
    in_memory = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK | os.X_OK)
    folder = _IN_MEMORY if in_memory else Path(tempfile.gettempdir())
    _remove_abandoned(folder)
    unnamed = Path(tempfile.mkdtemp(prefix=_UNNAMED, dir=folder))
    home = folder / f"{_PREFIX}{unnamed.name.removeprefix(_UNNAMED)}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, unnamed, ignore_errors=True)
        lock = os.open(unnamed / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        stack.callback(_remove, home)
        unnamed.rename(home)
        yield home


def _remove_abandoned(folder: Path) -> None:
    for home in folder.glob(f"{_PREFIX}*"):
        age_s = _age_of_own_folder(home)
        if age_s is None:
            continue
        if home.name.startswith(_UNNAMED):
            if age_s > _NAMELESS_S:
                shutil.rmtree(home, ignore_errors=True)
            continue
        try:
            lock = os.open(home / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # it is being removed by its owner
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its owner lives
        else:
            with suppress(ToolError):  # an agent that cannot be told ends by itself when its home is gone
                stop_agent(home)
            shutil.rmtree(home, ignore_errors=True)
        finally:
            os.close(lock)


def _age_of_own_folder(path: Path) -> float | None:
    """Return how long ago the folder was changed, None if it is no folder of ours."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return time.time() - status.st_mtime if is_own else None


def _remove(home: Path) -> None:
    stop_agent(home)
    shutil.rmtree(home, ignore_errors=True)


def stop_agent(home: Path) -> None:
    """End the gpg-agent of `home`, if one runs: it would otherwise stay for ever."""
    if any(home.glob("S.gpg-agent*")) or (home / "private-keys-v1.d").exists():
        run(Program(("gpgconf", "--homedir", str(home), "--kill", "gpg-agent")), timeout_s=10)


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
