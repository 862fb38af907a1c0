"""The import contracts: each is seen broken once by a planted violation, so that it is known to bite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VIOLATIONS = {
    "imports point downwards only": ("repository/layout.py", "import permafrost.operations.backup"),
    "the database, gpg and Syncthing know nothing of each other": (
        "syncthing/client.py",
        "import permafrost.openpgp.home",
    ),
    "the repository is read without vaults, run records or Mastodon": ("repository/lock.py", "import permafrost.runs"),
    "only processes.py starts programs": ("openpgp/home.py", "import subprocess"),
}


def lint(folder: Path) -> tuple[int, str]:
    """Run import-linter on the copy of the project in `folder`."""
    finished = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the sources and of the contracts."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_contracts_are_kept(project: Path) -> None:
    """The sources as they are keep every contract, and there are no others than those tried below."""
    code, said = lint(project)
    assert code == 0, said
    kept = {line.removesuffix(" KEPT").strip() for line in said.splitlines() if line.endswith(" KEPT")}
    assert kept == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_planted_violation_is_found(project: Path, contract: str) -> None:
    """A violation planted in the sources breaks exactly this contract."""
    place, line = VIOLATIONS[contract]
    file = project / "src" / "permafrost" / place
    file.write_text(
        file.read_text().replace(
            "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n"
        )
    )
    code, said = lint(project)
    assert code == 1, said
    assert f"{contract} BROKEN" in said
