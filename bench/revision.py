"""Another commit of permafrost beside the present one, to be run by the same Python with the same libraries."""

from __future__ import annotations

import compileall
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.programs import BenchError, permafrost

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Version:
    """A version of permafrost: what it is called, its commit, and the folder of its source."""

    name: str
    commit: str
    source: Path


@contextmanager
def both_versions(folder: Path, rev: str) -> Iterator[tuple[Version, Version]]:
    """Yield the present version and the one of a commit, both copied below `folder`, and compiled.

    The other one comes from a worktree of git's, which is removed at the end. Raise `BenchError` if there is no such
    commit, or its permafrost does not start with the present libraries.
    """
    commit = _git("rev-parse", "--verify", f"{rev}^{{commit}}")
    ours = folder / "present"
    shutil.copytree(ROOT / "src", ours / "src", ignore=shutil.ignore_patterns("__pycache__"))
    theirs = folder / "compared"
    _git("worktree", "add", "--detach", str(theirs), commit)
    try:
        changed = "with changes" if _git("status", "--porcelain", "--", "src") else ""
        present = Version("present", " ".join(filter(None, (_git("rev-parse", "HEAD")[:7], changed))), ours / "src")
        compared = Version(rev, commit[:7], theirs / "src")
        for version in (present, compared):
            _start(version)
        yield present, compared
    finally:
        _git("worktree", "remove", "--force", str(theirs))


def _start(version: Version) -> None:
    """Compile it as an installed version is; raise `BenchError` unless it starts from its own source."""
    compileall.compile_dir(version.source, quiet=1, workers=1)
    try:
        permafrost("backup", "--help", source=version.source)
    except BenchError as error:
        raise BenchError(f"{version.name} ({version.commit}) does not start with these libraries: {error}") from error


def _git(*words: str) -> str:
    done = subprocess.run(("git", "-C", str(ROOT), *words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
