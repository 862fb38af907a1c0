"""Man pages and completion are made from the command tree."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.command_tree import root
from scripts.completion import PLACES, completion
from scripts.man_pages import man_pages

PAGES = man_pages(datetime(2026, 11, 26, tzinfo=UTC))
TREE = {command.path: command for command in root().tree()}


def test_every_command_has_a_page() -> None:
    """Each command has a man page named as its words, in groups too."""
    assert set(PAGES) == {f"{path.replace(' ', '-')}.1" for path in TREE}
    assert "permafrost-vault-join.1" in PAGES


@pytest.mark.parametrize("path", TREE)
def test_a_page_has_the_options(path: str) -> None:
    """A page names each option of its command, and groff shows it without a warning."""
    page = PAGES[f"{path.replace(' ', '-')}.1"]
    plain = page.replace(r"\-", "-")
    for words, _ in TREE[path].options():
        assert f".TP\n\\fB{words}\\fR\n" in plain
    groff = ["groff", "-man", "-Tutf8", "-ww", "-z"]
    shown = subprocess.run(groff, input=page, capture_output=True, text=True, check=True)
    assert shown.stderr == ""


@pytest.mark.parametrize("shell", PLACES)
def test_completion_asks_permafrost(shell: str) -> None:
    """Each shell's script completes the name of the program by asking it."""
    script = completion(shell)
    assert f"_PERMAFROST_COMPLETE={shell}_complete" in script
    assert re.search(r"(?:complete|compdef) .*\bpermafrost\b", script)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("permafrost vault j", ["join"]),
        ("permafrost rest", ["restore", "restore-table"]),
        ("permafrost drill --aud", ["--audited"]),
    ],
)
def test_bash_completes(line: str, offered: list[str], tmp_path: Path) -> None:
    """bash, given the script, offers commands of groups, commands that begin alike, and options."""
    words = line.split()
    script = "\n".join(
        [
            completion("bash"),
            f"COMP_WORDS=({line}) COMP_CWORD={len(words) - 1}",
            "_permafrost_completion permafrost",
            'printf "%s\\n" "${COMPREPLY[@]}"',
        ]
    )
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    finished = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert finished.stdout.split() == offered, finished.stderr
