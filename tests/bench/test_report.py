from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bench.judgement import Figure, figures
from bench.measuring import Taken
from bench.minutes_report import minute_rows
from bench.reasons import shortfalls
from bench.report import document, sizes_of, summary
from bench.results import (
    Carried,
    CarriedRuns,
    Results,
    Series,
    SystemRuns,
    load_results,
    save_results,
)
from bench.rows import backup_rows, hour_rows, judged_rows, other_rows, restore_rows, series_rows
from bench.tables import markdown_table, text_table
from tests.bench.measurements import ALL, FACTS, HOURS, LOG, MINUTE, MINUTES, ONE_SIZE, SMALL

TAKEN = Taken(5.0, 5.0, 1.0, 90_000_000, 110_000_000, 500_000_000, 12, 60)


def test_a_promise_is_kept_by_all_runs_by_their_median_or_not() -> None:
    """The worst run decides; if only the median is within the promise, that is said."""
    one = Figure("time", 2.0, (1.0, 1.5, 2.0), str)
    assert one.verdict == "yes"
    assert replace(one, values=(1.0, 1.5, 2.1)).verdict == "by the median only"
    assert replace(one, values=(1.0, 2.1, 2.2)).verdict == "no"


def test_promises_are_measured_against_the_published_median() -> None:
    """Times are parts of the published set-up's median, bytes of the changed rows' own compressed size."""
    kept = {figure.name: (figure.median, figure.worst, figure.verdict) for figure in figures(ONE_SIZE)}
    assert kept["log engine, hourly, time / published"] == (1.6 / 30, 2.5 / 30, "no")
    assert kept["log engine, hourly, bytes / zstd -3 of the changed rows"] == (1.2, 1.6, "by the median only")
    assert kept["log engine, first run, time / published"] == (7 / 30, 7 / 30, "yes")
    assert kept["log engine, state / heap"][1] == 0.009
    assert kept["log engine, restore, time / published"] == (1.25, 1.25, "no")
    assert len(judged_rows(ONE_SIZE)) == len(kept) == 11


def test_what_a_user_would_pick_instead_is_judged_by_its_own_hours() -> None:
    """Restic's and borg's promises are parts of their median hour, and every system has its row in the document."""
    hours = tuple(Taken(wall_s, 20.0, 3.0, 90_000_000, 190_000_000, 700_000_000, 12, 60) for wall_s in (20.0, 40.0))
    systems = tuple(SystemRuns(name, hours[0], hours, (hours[0],)) for name in ("restic", "borg", "pgBackRest"))
    measured = replace(ONE_SIZE, systems=systems)
    kept = {figure.name: figure for figure in figures(measured)}
    assert len(kept) == 17
    assert kept["log engine, hourly, time / borg"].values == (1.5 / 30, 1.6 / 30, 2.5 / 30)
    assert kept["log engine, hourly, bytes / restic"].median == 960_000 / 190_000_000
    assert kept["log engine, first run, time / restic"].values == (7 / 20,)
    assert [row[0] for row in other_rows(measured)] == ["permafrost, engine log", "restic", "borg", "pgBackRest"]
    assert "| pgBackRest" in document(Results(measured))


def test_what_syncthing_sent_stands_beside_what_the_files_say() -> None:
    """The median hour is told, not the first backup nor an unchanged run; the published set-up has its row too."""
    runs = (Carried("first", 200_000_000, 9.0), Carried("hour", 800_000, 0.4), Carried("unchanged", 9_000, 0.1))
    carried = tuple(CarriedRuns(name, runs) for name in ("permafrost, engine log", "published set-up"))
    measured = replace(ONE_SIZE, systems=(SystemRuns("restic", TAKEN, (TAKEN,), ()),), carried=carried)
    log, published, restic = other_rows(measured)
    assert (log[7:9], published[7:9], restic[7:9]) == (("800 kB", "0.40 s"), ("800 kB", "0.40 s"), ("", ""))
    assert published[:3] == ("published set-up", "30.0 s", "200 MB")
    assert (published[5], published[-1]) == ("3.00 s", "20.0 s")
    assert "outBytesTotal" in document(Results(measured))
    assert "outBytesTotal" not in document(Results(replace(measured, carried=())))


def test_a_run_every_minute_is_told_by_its_median_and_its_worst() -> None:
    """Shares are of one core, of all that runs on a side; a receipt that did not come in time is counted, not timed."""
    rows = {row[0]: row[1:] for row in minute_rows(MINUTES)}
    assert rows["held by the vault's Syncthing after"] == ("1.80 s", "2.80 s")
    assert rows["receipt there after"] == ("4.00 s", "4.00 s")
    assert rows["bytes sent"] == ("30 kB", "31 kB")
    assert rows["share: all on the server"] == ("4.0%", "4.0%")
    assert rows["share: all on the vault"] == ("1.0%", "1.0%")
    text = document(Results(minutes=MINUTES))
    assert "1 of 3 receipts came too late" in text
    assert "The 3 runs made 12 files and left 4 snapshots" in text


def test_the_wal_of_a_run_every_minute_is_told_where_it_was_looked_at() -> None:
    """The run's own, the churn's after it, and how many runs scanned only changed blocks; 5 GB have a promise."""
    assert not any("WAL" in row[0] for row in minute_rows(MINUTES))
    first = replace(MINUTE, run=replace(MINUTE.run, scan="changed", wal_bytes=20_000), churn_wal_bytes=2_000_000)
    last = replace(MINUTE, run=replace(MINUTE.run, scan="all", wal_bytes=4_000))
    measured = replace(MINUTES, minutes=(first, last))
    rows = {row[0]: row[1:] for row in minute_rows(measured)}
    assert rows["WAL of the run"] == ("12 kB", "20 kB")
    assert rows["WAL of the churn after it"] == ("2 MB", "2 MB")
    assert rows["runs that scanned only changed blocks"] == ("1 of 2", "")
    assert "share of one core |" not in document(Results(minutes=measured))
    large = replace(measured, data=replace(MINUTES.data, database_bytes=5_000_000_000))
    assert "| all on the server, share of one core |    2.0% |   4.0% |  4.0% |   no |" in document(
        Results(minutes=large)
    )


def test_reasons_are_those_of_the_scan_that_was_made() -> None:
    """A run that scans only changed blocks is not excused by the scan of all rows."""
    late = [Figure("log engine, hourly, time / restic", 0.125, (0.2,), str)]
    assert "the scan grows" in shortfalls(late)[0]
    assert "which scans nothing" in shortfalls(late, scans_changed=True)[0]


def test_rows_say_what_was_measured() -> None:
    """Backups and restores are compared with the published set-up, each hour has its own row."""
    assert [row[-1] for row in backup_rows(ONE_SIZE)] == ["1.000", "0.233", "0.233", "0.053", "0.033"]
    assert hour_rows(HOURS)[1][:8] == ("2", "10,000", "2,100", "3 MB", "800 kB", "1.28 MB", "1.60", "5")
    assert restore_rows(ONE_SIZE)[2] == ("permafrost, engine log", "25.0 s", "5.0 s", "1.25", "150 MB", "25.0 s")
    assert [row[5] for row in series_rows(Series(FACTS, (SMALL, LOG)))] == ["1/1.9", "1/18.8"]


def test_tables_line_up() -> None:
    """Names stand to the left, all else to the right, in text and in Markdown."""
    rows = [("a", "1 s"), ("long name", "100 s")]
    assert text_table(("system", "time"), rows) == ["system      time", "a            1 s", "long name  100 s"]
    assert markdown_table(("system", "time"), rows) == [
        "| system    |  time |",
        "| --------- | ----: |",
        "| a         |   1 s |",
        "| long name | 100 s |",
    ]


def test_the_document_says_how_it_was_made() -> None:
    """It names date, command, load, data, versions and every run, and has only the parts that were measured."""
    text = document(Results(ONE_SIZE))
    for told in (
        "2026-11-23 by `python -m bench --size 1`",
        "load average 0.25",
        "1.06 GB",
        "673,973 statuses and 3,674,841 rows",
        "gpg 2.2.40",
        "- published set-up: 30.0 s, 33.0 s, 26.0 s\n",
    ):
        assert told in text
    assert "plots/" not in text
    assert document(Results()).startswith("# Benchmarks\n")
    assert summary(Results()) == []


def test_the_big_database_is_among_the_sizes_once() -> None:
    """It is added to a series of others, in order of size, and not to one that has about its size already."""
    alone = Results(ONE_SIZE, Series(FACTS, (SMALL,)))
    added = sizes_of(alone)
    assert added is not None
    assert added.runs == (SMALL, LOG)
    assert sizes_of(ALL) == ALL.sizes
    assert sizes_of(Results(ONE_SIZE)) is None


def test_results_come_back_as_they_were_kept(tmp_path: Path) -> None:
    """What one run measured is there for the next; without a file there is nothing."""
    file = tmp_path / "benchmarks.json"
    assert load_results(file) == Results()
    save_results(file, ALL)
    assert load_results(file) == ALL


def test_results_of_before_come_back_without_their_work(tmp_path: Path) -> None:
    """A run that was measured when its work was not told yet has none."""
    file = tmp_path / "benchmarks.json"
    save_results(file, Results(ONE_SIZE))
    kept = json.loads(file.read_text())
    del kept["one_size"]["log"]["first"]["work_s"]
    file.write_text(json.dumps(kept))
    assert load_results(file) == Results(ONE_SIZE)
