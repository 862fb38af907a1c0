"""A GnuPG home of our own, for one operation, that vanishes with it.

gpg insists on a home to write its keyring into. The admin's own must not be touched, and a secret key that is
imported for a restore must not reach a disk, so the home is made in memory where there is such a place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from permafrost.processes import Program, run

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private folder in it


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield an empty GnuPG home, mode 0700, in memory if possible; its agent and files are gone afterwards."""
    in_memory = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK | os.X_OK)
    home = Path(tempfile.mkdtemp(prefix="permafrost-gpg-", dir=_IN_MEMORY if in_memory else None))
    try:
        yield home
    finally:
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
