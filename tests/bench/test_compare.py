"""The present version against another commit's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bench.compare import Comparison, Cost, compare, report, store
from bench.programs import BenchError
from bench.results import Facts
from bench.revision import ROOT, both_versions

FACTS = Facts("2026-11-27", "python -m bench --compare HEAD", 2, 0.25, {"gpg": "2.2.40"})


def _is_repository() -> bool:
    """Return whether git finds the present commit: a source that was unpacked, not cloned, has none."""
    try:
        found = subprocess.run(("git", "-C", ROOT, "rev-parse", "HEAD"), capture_output=True, check=False)
    except OSError:
        return False
    return found.returncode == 0


needs_commits = pytest.mark.skipif(not _is_repository(), reason="the project's commits are not here, or git is not")


def _costs(ours_s: float, theirs_s: float) -> tuple[Cost, Cost]:
    return Cost(2 * ours_s, ours_s, ours_s / 2), Cost(2 * theirs_s, theirs_s, theirs_s / 2)


MADE_UP = Comparison(
    FACTS,
    100_000_000,
    "1234567 with changes",
    "89abcde",
    {
        "hour": [_costs(1.0, 2.0), _costs(1.2, 2.0), _costs(0.8, 2.0)],
        "status": [_costs(1.1, 1.0), _costs(1.1, 1.0), _costs(0.9, 1.0)],
    },
)


def test_ratios_and_what_is_slower() -> None:
    """Ratios are taken round by round, with their spread; what has become slower is named."""
    lines = report(MADE_UP)
    assert lines[0] == "1234567 with changes against 89abcde, 100 MB"
    (hour,) = (line for line in lines if line.startswith("hour"))
    assert hour.split()[1:3] == ["0.50", "(0.40-0.60)"]
    assert hour.endswith("1.50 / 3.00")
    assert lines[-1] == "slower by more than 5% of the CPU: status"


def test_it_is_kept_by_commit(tmp_path: Path) -> None:
    """A comparison is kept in a file that is named by both commits and the size."""
    file = store(MADE_UP, tmp_path / "kept")
    assert file.name == "1234567-with-changes-against-89abcde-100-MB.json"
    assert json.loads(file.read_text())["rounds"]["hour"][0][1]["cpu_s"] == 2.0


@needs_commits
def test_there_is_no_such_commit(tmp_path: Path) -> None:
    """A commit that does not exist is an error, before anything is copied."""
    with pytest.raises(BenchError, match="rev-parse"), both_versions(tmp_path, "no-such-commit"):
        pass
    assert list(tmp_path.iterdir()) == []


@needs_commits
@pytest.mark.long
def test_another_commit_starts_beside(tmp_path: Path) -> None:
    """Both versions have a compiled source of their own, and nothing of the worktree is left."""

    def worktrees() -> str:
        return subprocess.run(
            ("git", "-C", ROOT, "worktree", "list"), capture_output=True, text=True, check=True
        ).stdout

    with both_versions(tmp_path, "HEAD") as (present, compared):
        assert present.commit.split()[0] == compared.commit
        for version in (present, compared):
            assert list((version.source / "permafrost" / "cli" / "__pycache__").glob("main.*.pyc"))
        assert str(tmp_path) in worktrees()
    assert str(tmp_path) not in worktrees()


@needs_commits
@pytest.mark.long
def test_every_kind_of_work(server_folder: Path) -> None:
    """First run, hour, unchanged run, status and restore are done by both versions in each round."""
    folder = server_folder / "compared"
    folder.mkdir(mode=0o711)
    found = compare(folder, FACTS, 16_500_000, 1, "HEAD", print)
    assert {kind: len(rounds) for kind, rounds in found.rounds.items()} == dict.fromkeys(
        ("first", "hour", "unchanged", "status", "restore"), 1
    )
    assert all(cost.cpu_s > 0 for rounds in found.rounds.values() for pair in rounds for cost in pair)
