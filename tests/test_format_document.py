"""docs/format.md: every clause is held by a test, and no test names a clause that is not there."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLAUSE = re.compile(r"^- \*\*(\d+\.\d+)\*\*", re.MULTILINE)
MARK = re.compile(r"@pytest\.mark\.format\(([^)]*)\)")


def test_every_clause_has_a_test() -> None:
    """Each numbered clause of the format is named by the mark of at least one test, and each mark names a clause."""
    clauses = set(CLAUSE.findall((ROOT / "docs" / "format.md").read_text()))
    marked: set[str] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for words in MARK.findall(file.read_text()):
            marked.update(re.findall(r'"([\d.]+)"', words))
    assert clauses, "the document has no clauses any more?"
    assert clauses - marked == set(), "clauses without a test"
    assert marked - clauses == set(), "tests of clauses that are not there"


def test_clauses_are_numbered_in_order() -> None:
    """Clauses are numbered without gaps within their sections, so that a number is never used twice."""
    numbers = [tuple(map(int, one.split("."))) for one in CLAUSE.findall((ROOT / "docs" / "format.md").read_text())]
    for (section, clause), (next_section, next_clause) in pairwise(numbers):
        assert (next_section, next_clause) in {(section, clause + 1), (section + 1, 1)}, (section, clause)
