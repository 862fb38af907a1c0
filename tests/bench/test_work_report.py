from __future__ import annotations

from dataclasses import replace

from bench.report import document
from bench.results import Results
from bench.work_report import kinds_of, work_done, work_headings, work_parts, work_rows
from tests.bench.measurements import LOG, ONE_SIZE
from tests.bench.worked import WORKED


def test_each_kind_of_work_has_its_own_median() -> None:
    """A run that has nothing of a kind counts as 0 of it; kinds stand in one order, and unknown ones come last."""
    done = work_done(WORKED)
    assert work_headings(done) == ("run", "wall", "scan", "fetch", "compress", "seal", "publish", "of long ago")
    assert work_rows(done) == [
        ("first run", "7.00 s", "0.00 s", "5.50 s", "4.00 s", "0.00 s", "0.00 s", "0.50 s"),
        ("an hour", "1.60 s", "0.40 s", "0.00 s", "0.00 s", "0.10 s", "0.00 s", "0.00 s"),
        ("unchanged", "1.00 s", "0.25 s", "0.00 s", "0.00 s", "0.00 s", "0.00 s", "0.00 s"),
    ]


def test_the_section_is_there_if_a_run_says_where_its_time_went() -> None:
    """It has the table and the plot; of results that are older than that there is no section."""
    text = document(Results(replace(ONE_SIZE, log=WORKED)))
    assert text.count("## Where the time goes") == text.count("(plots/work.svg)") == 1
    assert "| an hour   | 1.60 s | 0.40 s |" in text
    assert max(map(len, work_parts(WORKED)[1].splitlines())) <= 120
    assert work_done(LOG) == ()
    assert kinds_of(()) == ()
    assert work_parts(LOG) == []
    assert "Where the time goes" not in document(Results(ONE_SIZE))
