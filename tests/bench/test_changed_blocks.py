from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.changed_blocks import _beside_each_other, measure_changed_blocks, needed_bytes
from bench.changed_blocks_report import CHANGED as CHANGED_COLUMNS
from bench.changed_blocks_report import changed_figures, changed_parts, changed_table
from bench.changed_sizes import merged, with_one_major
from bench.plots import pictures
from bench.programs import BenchError
from bench.report import document, summary
from bench.results import ChangedBlocks, Facts, Results, load_results, save_results
from tests.bench.measurements import CHANGED, SCAN_FACTS, scan_runs
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip

FACTS = Facts("2026-11-26", "python -m bench --summaries 0.02,0.03 --hours 1", 2, 0.25, {"gpg": "2.2.40"})


@pytest.mark.long
def test_both_settings(server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server that summarizes its WAL, one repository's runs scan some pages, and the other one's all."""
    binaries = binaries_or_skip(max(NEWER_MAJORS, default=17))
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    folder = server_folder / "changed"
    folder.mkdir(mode=0o711)
    told: list[str] = []
    measured = measure_changed_blocks(folder, FACTS, [16_500_000], 1, told.append)
    auto, off = measured.runs
    assert [auto.setting, off.setting] == ["auto", "off"]
    assert [run.scan for run in (*auto.hours, *auto.unchanged)] == ["changed", "changed"]
    assert auto.unchanged[0].scanned_pages == 0 < auto.hours[0].scanned_pages
    assert [run.scan for run in (*off.hours, *off.unchanged)] == ["all", "all"]
    assert off.hours[0].scanned_pages == off.hours[0].total_pages == auto.hours[0].total_pages
    assert auto.first is not None
    assert off.first is not None
    assert auto.published is not None
    assert auto.restored is not None
    assert off.restored is None
    assert auto.first.scan == off.first.scan == "all"
    assert 30_000_000 < auto.hours[0].peak_bytes < 250_000_000
    assert 30_000_000 < auto.restored.peak_bytes < 250_000_000
    assert auto.restored.rows_equal > auto.data.rows
    assert auto.published.size_bytes > 100_000
    assert f"{auto.restored.rows_equal:,} rows in {auto.restored.tables_equal} tables equal" in told[-1]
    results = Results(changed_blocks=measured)
    assert "## Only what has changed" in document(results)
    assert any(line.startswith("an unchanged run, time") for line in summary(results))
    save_results(tmp_path / "kept", results)
    assert load_results(tmp_path / "kept") == results


def test_an_hour_at_5_gb_is_judged_against_the_smallest_and_the_published_set_up() -> None:
    """What is promised of size, of the published set-up and of memory is judged; larger sizes only by the last two."""
    judged = {figure.name: figure for figure in changed_figures(CHANGED)}
    assert judged["an hour at 5 GB / at 100 MB, time"].values == (1.0, 1.0)
    assert judged["an hourly run at 5 GB / published set-up, time"].values == (1.1 / 150,) * 2
    assert judged["an hourly run at 5 GB / published set-up, time"].target == 1 / 80
    assert judged["first run at 5 GB / published set-up, time"].median == pytest.approx(7 / 30)
    assert judged["peak memory of its process"].worst == 160_000_000
    assert judged["restore, peak memory of its process"].worst == 110_000_000
    larger = merged(CHANGED, ChangedBlocks(SCAN_FACTS, scan_runs(20_000_000_000)))
    assert judged.keys() < {figure.name for figure in changed_figures(larger)}


def test_what_was_not_measured_has_no_column_and_no_promise() -> None:
    """Results of before this was looked at, and a size without the published set-up, are rendered as far as they go."""
    bare = [replace(one, first=None, published=None, restored=None, facts=None) for one in CHANGED.runs]
    old = [replace(one, hours=(replace(one.hours[0], peak_bytes=0),), unchanged=one.hours) for one in bare]
    old = [replace(one, unchanged=(replace(one.unchanged[0], peak_bytes=0),)) for one in old]
    headings, rows = changed_table(ChangedBlocks(SCAN_FACTS, tuple(old)))
    assert headings == [*CHANGED_COLUMNS[:3], *CHANGED_COLUMNS[4:9]]
    assert rows[0] == ("100 MB", "17.12", "auto", "1.10 s", "1.10 s", "0.80 s", "0.10 s", "1,000 of 10,000")
    assert len(changed_figures(ChangedBlocks(SCAN_FACTS, tuple(old)))) == 3
    assert "published set-up are one run" not in document(Results(changed_blocks=ChangedBlocks(SCAN_FACTS, tuple(old))))
    headings, rows = changed_table(CHANGED)
    assert tuple(headings) == CHANGED_COLUMNS
    assert [row[-1] for row in rows] == ["", "", "60.0 s", ""]


def test_sizes_of_several_days_stand_beside_each_other() -> None:
    """The same size of the same version is replaced, and each other one keeps its date; versions are not mixed."""
    later = replace(SCAN_FACTS, date="2026-12-01", command="python -m bench --summaries 5,20")
    old = replace(CHANGED, runs=tuple(replace(one, facts=None) for one in CHANGED.runs))
    new = ChangedBlocks(later, (*scan_runs(5_100_000_000, later), *scan_runs(20_000_000_000, later)))
    both = merged(old, new)
    assert [round(one.data.database_bytes / 1e8) for one in both.runs] == [1, 1, 51, 51, 200, 200]
    text = "\n".join(changed_parts(both))
    assert "100 MB, PostgreSQL 17:\n- Measured on 2026-11-23" in text.replace("\n\n", "\n")
    assert "5.1 GB, 20 GB, PostgreSQL 17:\n- Measured on 2026-12-01" in text.replace("\n\n", "\n")
    newer = replace(SCAN_FACTS, versions={"PostgreSQL": "18.6"})
    mixed = merged(both, ChangedBlocks(newer, scan_runs(100_000_000, newer)))
    assert len(mixed.runs) == 8
    assert with_one_major(mixed) == both.runs
    assert merged(None, new) == new


def test_sizes_are_measured_one_after_the_other_where_the_disk_is_small() -> None:
    """All beside each other if there is room; nothing is begun that cannot fit by itself."""
    sizes, told = [100_000_000, 5_000_000_000], list[str]()
    assert _beside_each_other(sizes, needed_bytes(sizes), told.append) == [sizes]
    assert told == []
    assert _beside_each_other(sizes, needed_bytes(sizes[1:]), told.append) == [[sizes[0]], [sizes[1]]]
    assert "one after the other" in told[0]
    with pytest.raises(BenchError, match=r"5 GB need about 18 GB of disk, and 12 GB are free .* nothing was measured"):
        _beside_each_other(sizes, 12_000_000_000, told.append)


def test_both_settings_are_drawn_by_size() -> None:
    """Time with the published set-up's, and the server's CPU; a single size is not drawn."""
    drawn = pictures(Results(changed_blocks=CHANGED))
    time, server = (drawn[name].axes[0].lines for name in ("scan-time-by-size.svg", "scan-server-cpu-by-size.svg"))
    names = ["auto, an hour", "off, an hour", "auto, unchanged", "off, unchanged"]
    assert [line.get_label() for line in server] == names
    assert [line.get_label() for line in time] == [*names, "published set-up"]
    assert np.asarray(time[1].get_xydata()).tolist() == [[0.1, 2.0], [5.0, 2.0]]
    assert np.asarray(server[0].get_xydata()).tolist() == [[0.1, 0.1], [5.0, 0.1]]
    assert pictures(Results(changed_blocks=ChangedBlocks(SCAN_FACTS, scan_runs(5_000_000_000)))) == {}


def test_older_server(server_folder: Path) -> None:
    """Where the server cannot summarize its WAL, nothing is measured, and the reason is said."""
    if NEWER_MAJORS != (17, 18):
        pytest.skip("this machine's PostgreSQL can")
    folder = server_folder / "older"
    folder.mkdir(mode=0o711)
    with pytest.raises(BenchError, match="only PostgreSQL 17 or newer"):
        measure_changed_blocks(folder, FACTS, [16_500_000], 1, print)
