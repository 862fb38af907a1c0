"""What people read is spelt right, and keeps clear of the phrases that CONTRIBUTING.md asks to avoid."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from permafrost.findings import FindingKind

ROOT = Path(__file__).parents[2]
SPELT = (
    "src",
    "tests",
    "docs",
    "demo",
    "bench",
    "samples",
    "scripts",
    "systemd",
    "packaging",
    *map(str, ROOT.glob("*.md")),
)
AVOIDED = {
    r"\banew\b": "again",
    r"\b(?:is|are|was|were|be) told\b": "is reported, is detected",
    r"\bliving (?:database|table|one|server)s?\b": "live",
    r"\bso many\b": "N",
    r"\bgoes on\b|\bgoing on with\b|\bgone on with\b": "continues, resumes",
    r"\bin plain\b(?! \w)": "unencrypted, in plaintext",
    r"\bthere already\b|\balready there\b": "already exists",
    r"\b(?:that|which) (?:is|are) there\b": "an existing ...",
    r"(?:^|[.;,(] ?)[Ee]lse (?:the|a|an|it|all|see|nothing|this|\$)": "otherwise",
    r"(?:^|[.;:] )[Ww]ho (?:has|holds|reads|restores|loses|takes|owns|can)\b(?! what|[^.]*\?)": "anyone who",
    r"\b(?:tells|told) (?:nothing|the|what|which|whether|how|it)\b": "reports, says",
    r"\bbears?\b": "has",
    r"\b(?:is|are) asked for\b": "is requested",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\b(?:lies|lay) (?:in|on|at|beside|below|there)\b": "is in, is on",
    r"\bneeds? a human\b": "needs attention",
    r"\bgrave(?:r|st)\b": "serious",
    r"\bcatalogues?\b|\banalys(?:e|ed|es|ing)\b|\binitialis": "catalog, analyze, initialize",
}
CODE = re.compile(r"^```.*?^```$|`[^`]*`|\]\([^)]*\)|\"[^\"\n]*\"", re.MULTILINE | re.DOTALL)
STATEMENT = re.compile(r"\s*(?:SELECT|WITH|INSERT|CREATE|LOCK|UPDATE|DELETE|ALTER|EXISTS)\b")


def found(text: str) -> list[str]:
    """Return what is in the text and should be said otherwise, with what to say."""
    return [
        f"{match[0]!r}: say {better!r}"
        for pattern, better in AVOIDED.items()
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]


def documents() -> list[Path]:
    """Return the documents that people read."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def messages(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts in a module that are more than a word and not documentation, with their lines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in documentation:
            continue
        if " " in node.value and not STATEMENT.match(node.value):
            yield node.lineno, node.value


def test_spelling() -> None:
    """Codespell finds nothing in sources, tests and documents."""
    program = str(Path(sys.executable).with_name("codespell"))
    finished = subprocess.run([program, *SPELT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("document", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_documents(document: Path) -> None:
    """No document has a phrase that is to be avoided; code, links and quotations apart."""
    assert found(CODE.sub("", document.read_text(encoding="utf-8"))) == []


def test_messages() -> None:
    """No message, hint, option or finding of the program has one."""
    wrong = {
        f"{file.relative_to(ROOT)}:{line}": one
        for file in sorted((ROOT / "src").rglob("*.py"))
        for line, text in messages(file)
        for one in found(text)
    }
    assert wrong == {}


def test_the_phrases_are_seen() -> None:
    """Each pattern finds the sentence that it was made for, so that none has gone blind."""
    sentences = (
        "It is stored anew.",
        "A forged snapshot is told.",
        "into the living database",
        "The newest of the last so many hours",
        "after a kill it goes on",
        "Media lie there in plain.",
        "the folder is there already",
        "a database that is there",
        "Configuration file; else $PERMAFROST_CONFIG",
        "Do not seal it. Who reads it reads everything.",
        "it told nothing for 900 s",
        "it bears its own name",
        "it is asked for",
        "mend what it says",
        "the folder lies on another disk",
        "what needs a human",
        "the gravest thing",
        "the system catalogue",
    )
    assert all(found(sentence) for sentence in sentences)
    assert {pattern for pattern in AVOIDED if any(re.search(pattern, one) for one in sentences)} == set(AVOIDED)


def test_every_remedy_is_a_sentence() -> None:
    """Each finding's meaning and remedy begin with a capital and end with a full stop, as the reference shows them."""
    for kind in FindingKind:
        for text in (kind.meaning, kind.remedy):
            assert text[0].isupper(), text
            assert text.endswith("."), text
