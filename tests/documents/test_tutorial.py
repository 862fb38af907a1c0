"""The tutorial's commands are run as they stand, but for the port numbers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import drop
from tests.fixtures.syncthing import free_port

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("22101", "22102", "8485", "8486")
# a command that fails ends the script, and what it left in the background ends with it
PROLOGUE = """set -eux -o pipefail
trap 'running=$(jobs -p); [ -z "$running" ] || { kill $running; wait; }' EXIT
"""


def script() -> str:
    """Return the tutorial's blocks as one script, with ports that are free."""
    text = PROLOGUE + "\n".join(BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")))
    for port in PORTS:
        assert port in text
        text = text.replace(port, str(free_port()))
    return text


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: gpg-agent's sockets go below it."""
    folder = Path(tempfile.mkdtemp(prefix="pf-"))
    yield folder
    shutil.rmtree(folder)


def test_the_tutorial_works(cluster: ScratchCluster, folder: Path) -> None:
    """All commands of the tutorial succeed, the rows are back in the end, and nothing is left running."""
    server = conninfo_to_dict(cluster.conninfo("postgres"))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PGHOST": str(server["host"]),
        "PGPORT": str(server["port"]),
        "PGUSER": str(server["user"]),
    }
    try:
        finished = subprocess.run(
            ["bash", "-c", script()], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        drop(cluster.conninfo("postgres"), "notes")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "1000 | note 999" in finished.stdout
    assert "held by vault attic" in finished.stdout
    assert processes_of(folder) == []


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            if str(folder) in arguments:
                found.append(arguments)
    return found
