"""The benches that stand alone run to their end, small."""

from __future__ import annotations

import subprocess
import sys

import pytest


def printed(*words: str) -> str:
    """Run a bench module, and return what it prints."""
    done = subprocess.run((sys.executable, "-m", *words), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_a_large_database() -> None:
    """Each command's memory is measured, up to a restore that compared the audited snapshot's rows."""
    lines = printed("bench.large", "--gigabytes", "0.1", "--million-rows", "0.1").splitlines()
    named = ("first backup", "an hour", "an hour", "unchanged", "audited", "snapshots", "status", "verify", "prune")
    assert [line[:24].strip() for line in lines[1:-1]] == [*named, "restore"]
    assert all(int(float(line.split()[-2])) > 20 for line in lines[1:-1])
    assert "the state has" in lines[-1]


def test_a_disk_that_is_too_small_is_refused() -> None:
    """A database that the disk has no room for is not begun."""
    words = (sys.executable, "-m", "bench.large", "--gigabytes", "1e9")
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "of disk are needed" in done.stderr


def test_what_is_known_of_a_segment() -> None:
    """Kinds of rows, sizes of blocks and the one value of version 1 are measured beside each other."""
    lines = printed("bench.known_segment", "--block-pages", "16").splitlines()
    assert [line[:15].strip() for line in lines[1:]] == ["one transaction"] * 2 + ["each its own"] * 2
