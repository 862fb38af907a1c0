"""Documents name tests and other documents that exist."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PYPROJECT = ROOT / "pyproject.toml"
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def named(document: Path) -> str:
    """Return the document's name for a test's id."""
    return str(document.relative_to(ROOT))


def anchors(document: Path) -> set[str]:
    """Return the anchors that the headings of a document make."""
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in HEADING.findall(text)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_named_tests_are_there(document: Path) -> None:
    """Each test that a document names is a function in that file."""
    for file, name in NAMED_TEST.findall(document.read_text(encoding="utf-8")):
        assert (ROOT / file).is_file(), f"{file} is not there"
        functions = {one.name for one in ast.parse((ROOT / file).read_text()).body if isinstance(one, ast.FunctionDef)}
        assert name in functions, f"{file} has no {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link leads to a file in the repository, and to a heading in it if it names one."""
    for link in LINK.findall(FENCED.sub("", document.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link} names no heading"


def test_promises_name_tests() -> None:
    """The promises, the threat model and the page on vaults do name tests: the pattern above has not gone blind."""
    for name in ("docs/promises.md", "docs/threat-model.md", "docs/vault.md"):
        assert len(NAMED_TEST.findall((ROOT / name).read_text(encoding="utf-8"))) > 10


def test_every_dependency_has_its_reason() -> None:
    """The record of decisions about dependencies names each package that the program needs."""
    record = (ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8").lower()
    for dependency in tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]:
        name = re.split(r"[^\w-]", dependency)[0]
        assert f"- **{name.removesuffix('[binary]')}" in record, f"no reason is given for {name}"
