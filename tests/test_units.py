"""The units in systemd/ are what systemd takes, and shut away what permafrost does not need."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from permafrost.cli.main import main

UNITS = sorted((Path(__file__).parent.parent / "systemd").glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSED = 2.5

pytestmark = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed (Debian: systemd)")


def _analyze(*words: str) -> str:
    finished = subprocess.run([str(ANALYZE), *words], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


def test_there_are_units() -> None:
    """There is one for the server and one for a vault."""
    assert [unit.name for unit in UNITS] == ["permafrost-vault.service", "permafrost.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say, but that permafrost is not installed where the unit expects it."""
    text = unit.read_text().replace("/usr/local/bin/permafrost", sys.executable)
    (tmp_path / unit.name).write_text(text)
    assert _analyze("verify", "--man=no", str(tmp_path / unit.name)) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_is_shut_away(unit: Path) -> None:
    """`systemd-analyze security` rates its exposure 2.5 or lower."""
    said = _analyze("security", "--offline=true", "--no-pager", f"--threshold={int(MOST_EXPOSED * 10)}", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_its_command_is_there(unit: Path) -> None:
    """The command that it starts is one of permafrost's, with options that it knows."""
    command = re.search(r"^ExecStart=\S+ (.+)$", unit.read_text(), re.MULTILINE)
    assert command is not None
    result = CliRunner().invoke(main, [*command[1].split(), "--help"])
    assert result.exit_code == 0, result.output
