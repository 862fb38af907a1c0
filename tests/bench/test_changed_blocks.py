from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.changed_blocks import measure_changed_blocks
from bench.programs import BenchError
from bench.report import document, summary
from bench.results import Facts, Results, load_results, save_results
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip

FACTS = Facts("2026-11-26", "python -m bench --summaries 0.02,0.03 --hours 1", 2, 0.25, {"gpg": "2.2.40"})


@pytest.mark.long
def test_both_settings(server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server that summarizes its WAL, one repository's runs scan some pages, and the other one's all."""
    binaries = binaries_or_skip(max(NEWER_MAJORS, default=17))
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    folder = server_folder / "changed"
    folder.mkdir(mode=0o711)
    measured = measure_changed_blocks(folder, FACTS, [16_500_000], 1, print)
    auto, off = measured.runs
    assert [auto.setting, off.setting] == ["auto", "off"]
    assert [run.scan for run in (*auto.hours, *auto.unchanged)] == ["changed", "changed"]
    assert auto.unchanged[0].scanned_pages == 0 < auto.hours[0].scanned_pages
    assert [run.scan for run in (*off.hours, *off.unchanged)] == ["all", "all"]
    assert off.hours[0].scanned_pages == off.hours[0].total_pages == auto.hours[0].total_pages
    results = Results(changed_blocks=measured)
    assert "## Only what has changed" in document(results)
    assert any(line.startswith("an unchanged run, time") for line in summary(results))
    save_results(tmp_path / "kept", results)
    assert load_results(tmp_path / "kept") == results


def test_older_server(server_folder: Path) -> None:
    """Where the server cannot summarize its WAL, nothing is measured, and the reason is said."""
    if NEWER_MAJORS != (17, 18):
        pytest.skip("this machine's PostgreSQL can")
    folder = server_folder / "older"
    folder.mkdir(mode=0o711)
    with pytest.raises(BenchError, match="only PostgreSQL 17 or newer"):
        measure_changed_blocks(folder, FACTS, [16_500_000], 1, print)
