"""Temporary GnuPG homes: the living are left alone, and what a killed process left is taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from permafrost.openpgp.home import temporary_home

_HOLDER = """
import sys
from permafrost.openpgp.home import gpg, temporary_home
from permafrost.processes.run import run_checked
with temporary_home() as home:
    words = ("--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "x", "ed25519", "sign", "never")
    run_checked(gpg(home, *words))
    print(home, flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_home() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has a home with a secret key in it, until its stdin ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        yield holder, Path(holder.stdout.readline().strip())


def test_a_killed_process_leaves_its_home_to_the_next() -> None:
    """After kill -9 the home with the secret key lies there until the next home is made; a living one stays."""
    with held_home() as (killed, abandoned), held_home() as (living, held):
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert list((abandoned / "private-keys-v1.d").iterdir())
        with temporary_home() as own:
            assert not abandoned.exists()
            assert list((held / "private-keys-v1.d").iterdir())
            assert own.exists()
        assert living.poll() is None
    assert not held.exists()
    assert living.returncode == 0


def test_homes_that_never_got_a_name() -> None:
    """What a process left that was killed while it made a home goes after a minute; a home in the making stays."""
    with temporary_home() as own:
        folder = own.parent
    left, in_the_making = (Path(tempfile.mkdtemp(prefix="permafrost-gpg-new-", dir=folder)) for _ in range(2))
    os.utime(left, (time.time() - 61,) * 2)
    with temporary_home():
        assert not left.exists()
        assert in_the_making.exists()
    in_the_making.rmdir()


def test_what_is_no_home_of_ours_stays(tmp_path: Path) -> None:
    """A link under a home's name is not followed, and stays."""
    with temporary_home() as own:
        link = own.parent / "permafrost-gpg-linked01"
    (tmp_path / "permafrost.lock").touch()
    link.symlink_to(tmp_path)
    try:
        with temporary_home():
            assert link.is_symlink()
            assert (tmp_path / "permafrost.lock").exists()
    finally:
        link.unlink()
