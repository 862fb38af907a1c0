"""An archive's table of contents, cut into steps."""

from __future__ import annotations

import pytest

from permafrost.errors import DatabaseError
from permafrost.postgres.programs.archive_contents import Contents, Step, read_contents

PRE_DATA = """;
; Archive created at 2026-11-24
;
5; 3079 9 EXTENSION - pg_cron owner
6; 0 0 COMMENT - EXTENSION pg_cron
10; 1259 1 TABLE public a owner
12; 1259 1 TABLE public t MATERIALIZED VIEW DATA u owner
13; 0 0 SECURITY LABEL public TABLE a owner
"""
DATA = """13001; 0 1 TABLE DATA public t MATERIALIZED VIEW DATA u owner
"""
POST_DATA = """11; 2606 2 CONSTRAINT public a a_pkey owner
19; 0 0 COMMENT public CONSTRAINT a_pkey ON a owner
15; 1259 8 INDEX public v_i owner
20; 2606 3 FK CONSTRAINT public a a_b owner
21; 0 0 COMMENT public CONSTRAINT a_b ON a owner
22; 2606 4 FK CONSTRAINT public a a_c owner
30; 3256 5 POLICY public a mine owner
50; 3466 7 EVENT TRIGGER - no ddl owner
51; 0 0 COMMENT - EVENT TRIGGER "no ddl" owner
52; 6104 7 PUBLICATION - all owner
40; 0 6 MATERIALIZED VIEW DATA public v owner
"""
DEPENDENCIES = {6: "5", 11: "10", 13: "10", 13001: "12", 15: "16", 19: "11", 20: "11", 21: "20", 22: "11", 51: "50"}


def contents(post_data: str = POST_DATA, dependencies: dict[int, str] = DEPENDENCIES, **words: list[str]) -> Contents:
    """Read the parts as pg_restore lists them."""
    lines = []
    for line in (PRE_DATA + DATA + post_data).splitlines():
        lines.append(line)
        number = line.partition(";")[0]
        if number.isdigit() and int(number) in dependencies:
            lines.append(f";\tdepends on: {dependencies[int(number)]}")
    return read_contents(PRE_DATA, DATA, post_data, "\n".join(lines), **words)


def test_every_entry_has_one_step() -> None:
    """Foreign keys, indexes, refreshes, event triggers, and what may be refused are apart, each with what depends on
    it; a table that is named like a refresh is a table."""
    found = contents()
    assert {step: found.ids(step) for step in Step if found.ids(step)} == {
        Step.DEFINITIONS: {5, 10, 12},
        Step.DATA: {13001},
        Step.INDEXES: {11, 15},
        Step.EARLY: {19},
        Step.FOREIGN_KEYS: {20, 22},
        Step.LATE: {21, 30},
        Step.REFRESHES: {40},
        Step.GUARDED: {6, 13, 52},
        Step.EVENT_TRIGGERS: {50, 51},
    }
    assert found.listed(Step.FOREIGN_KEYS).splitlines() == [
        "20; 2606 3 FK CONSTRAINT public a a_b owner",
        "22; 2606 4 FK CONSTRAINT public a a_c owner",
    ]
    assert len(found.steps) == len(found.entries)


def test_an_index_that_needs_more_than_rows() -> None:
    """An index of something that is made after the rows is left to pg_restore's order, and what needs it with it."""
    view = "16; 1259 8 VIEW public late owner\n"
    found = contents(view + POST_DATA)
    assert found.ids(Step.INDEXES) == {11}
    assert found.ids(Step.EARLY) == {15, 16, 19}


def test_something_among_the_foreign_keys() -> None:
    """If a foreign key needs something that needs another one, all are loaded in pg_restore's order."""
    found = contents(dependencies=DEPENDENCIES | {22: "11 21"})
    assert not found.ids(Step.FOREIGN_KEYS)
    assert found.ids(Step.EARLY) == {19, 20, 21, 22, 30}


def test_an_extension_is_left_out() -> None:
    """An extension is left out with what depends on it, and with the rows of tables that extensions make."""
    found = contents(dependencies=DEPENDENCIES | {13001: "217"}, without=["pg_cron"])
    assert found.ids(Step.LEFT_OUT) == {5, 6, 13001}
    assert found.ids(Step.DEFINITIONS) == {10, 12}
    assert not contents().ids(Step.LEFT_OUT)


def test_an_entry_in_two_sections() -> None:
    """A list in which an entry stands twice is refused."""
    with pytest.raises(DatabaseError):
        read_contents(PRE_DATA, PRE_DATA, "", PRE_DATA)
