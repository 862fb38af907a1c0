"""The import contracts: each is seen broken by planted violations, so that it is known to bite."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = "imports point downwards only"
PAGE = "web and notify know only status, findings and the configuration"
PURE = "what is called pure touches no disk, network, program or clock"
VIOLATIONS = [
    # each arrow of the plan, turned round: the module that the line is planted in, and the line
    (LAYERS, "service/services.py", "import permafrost.cli.backup"),
    (LAYERS, "web/page.py", "import permafrost.service.services"),
    (LAYERS, "notify/sender.py", "import permafrost.web.page"),
    (LAYERS, "operations/prune.py", "import permafrost.notify.sender"),
    (LAYERS, "engines/dump.py", "import permafrost.operations.backup"),
    (LAYERS, "engines/dump.py", "import permafrost.loading.source"),
    (LAYERS, "loading/source.py", "import permafrost.engines.dump"),
    (LAYERS, "vault_keeping/keeper.py", "import permafrost.sharing.vault_side"),
    (LAYERS, "sharing/vault_side.py", "import permafrost.status.vaults"),
    (LAYERS, "status/document.py", "import permafrost.engines.dump"),
    (LAYERS, "vault/clock.py", "import permafrost.status.vaults"),
    (LAYERS, "vault/clock.py", "import permafrost.segments.chain"),
    (LAYERS, "segments/state.py", "import permafrost.vault.clock"),
    (LAYERS, "buckets/store.py", "import permafrost.segments.state"),
    (LAYERS, "repository/layout.py", "import permafrost.vault.clock"),
    (LAYERS, "mastodon/dotenv.py", "import permafrost.segments.chain"),
    (LAYERS, "runs.py", "import permafrost.repository.layout"),
    (LAYERS, "schedule.py", "import permafrost.mastodon.dotenv"),
    (LAYERS, "processes/launch.py", "import permafrost.openpgp.home"),
    (LAYERS, "config/models.py", "import permafrost.processes.run"),
    (LAYERS, "findings.py", "import permafrost.config.models"),
    (LAYERS, "attic/chest.py", "import permafrost.errors"),  # a room that the plan does not know
    (
        "the database, gpg and Syncthing know nothing of each other",
        "syncthing/client.py",
        "import permafrost.openpgp.home",
    ),
    (
        "the repository is read without vaults, run records or Mastodon",
        "repository/lock.py",
        "import permafrost.runs",
    ),
    (PAGE, "web/page.py", "import permafrost.operations.backup"),
    (PAGE, "web/page.py", "import permafrost.runs"),
    (PAGE, "notify/sender.py", "import permafrost.repository.repository"),
    ("no circle of imports between modules of a room", "openpgp/home.py", "import permafrost.openpgp.signing"),
    (PURE, "repository/retention.py", "import time"),
    ("only processes starts programs", "openpgp/home.py", "import subprocess"),
    ("only rooms about object stores import boto3", "operations/verify.py", "import boto3"),
]


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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources and of the contracts."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


@pytest.fixture
def plant(project: Path) -> Iterator[Callable[[str, str], None]]:
    """Write a line into a module of the copy, which may not exist yet; the copy is as it was afterwards."""
    kept: dict[Path, str | None] = {}

    def write(place: str, line: str) -> None:
        file = project / "src" / "permafrost" / place
        kept[file] = text = file.read_text() if file.exists() else None
        if text is None:
            file.parent.mkdir(exist_ok=True)
            (file.parent / "__init__.py").touch()
        start = "from __future__ import annotations\n"
        text = text or ""
        file.write_text(text.replace(start, f"{start}{line}\n") if start in text else f"{line}\n")

    yield write
    for file, text in kept.items():
        if text is not None:
            file.write_text(text)
        else:
            file.unlink()
            if sorted(path.name for path in file.parent.iterdir()) == ["__init__.py"]:
                shutil.rmtree(file.parent)


def test_contracts_are_kept(project: Path) -> None:
    """The sources as they are keep every contract, and there are no others than those tried below."""
    code, said = lint(project)
    assert code == 0, said
    kept = {line.removesuffix(" KEPT").strip() for line in said.splitlines() if line.endswith(" KEPT")}
    assert kept == {contract for contract, _, _ in VIOLATIONS}


@pytest.mark.parametrize(("contract", "place", "line"), VIOLATIONS)
def test_planted_violation_is_found(
    project: Path, plant: Callable[[str, str], None], contract: str, place: str, line: str
) -> None:
    """A violation planted in the sources breaks the contract; modules that do not exist are planted as well."""
    plant(place, line)
    code, said = lint(project)
    assert code == 1, said
    assert f"{contract} BROKEN" in said or "attic" in said


def test_pure_modules_are_under_the_contract() -> None:
    """Each module whose docstring calls it pure is named in the contract, and each that is named says so."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (named,) = [contract["source_modules"] for contract in contracts if contract["id"] == "pure"]
    called = set()
    for file in (ROOT / "src").rglob("*.py"):
        first = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n\n")[0]
        if re.search(r"\bPure[.;]", first):
            called.add(".".join(file.relative_to(ROOT / "src").with_suffix("").parts))
    assert called == set(named)


def test_what_a_reader_can_hold() -> None:
    """No room has more than 20 modules (the commands': 25) or 3,500 lines, and functions fit a screen."""
    lengths = []
    for room in (path.parent for path in (ROOT / "src").rglob("__init__.py")):
        modules = [path for path in room.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= (25 if room.name == "cli" else 20), room
        assert sum(len(path.read_text().splitlines()) for path in modules) <= 3500, room
        trees = [ast.parse(path.read_text()) for path in modules]
        functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        lengths += [(node.end_lineno or 0) - node.lineno + 1 for node in functions]
    assert sorted(lengths)[len(lengths) * 9 // 10] <= 25
