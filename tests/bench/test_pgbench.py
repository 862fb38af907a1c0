from __future__ import annotations

from pathlib import Path

from bench.pgbench import TRANSACTIONS, measure_pgbench
from bench.pgbench_report import pgbench_rows
from bench.report import document
from bench.results import Facts, Results, load_results, save_results

FACTS = Facts("2026-11-25", "python -m bench --pgbench 1 --hours 1", 2, 0.25, {"gpg": "2.2.40"})


def test_an_hour_of_transactions(server_folder: Path, tmp_path: Path) -> None:
    """Four systems back up pgbench's database and an hour's changes in it, and each restores what there is."""
    folder = server_folder / "pgbench"
    folder.mkdir(mode=0o711)
    measured = measure_pgbench(folder, FACTS, 1, 1, print)
    (hour,) = measured.log.hours
    assert measured.log.data.rows == 100_000 + 10 + 1
    assert hour.rows_equal == measured.log.data.rows + TRANSACTIONS
    assert hour.changes.rows - TRANSACTIONS == hour.changes.gone
    assert TRANSACTIONS * 0.9 < hour.changes.gone <= TRANSACTIONS + 11
    assert (hour.run.rows_new, hour.run.rows_gone) == (hour.changes.rows, hour.changes.gone)
    assert [(one.name, len(one.hours), len(one.restores)) for one in measured.systems] == [
        ("published set-up", 1, 1),
        ("restic", 1, 1),
        ("borg", 1, 1),
    ]
    assert all(carried.runs[1].sent_bytes for carried in measured.carried)
    assert len(pgbench_rows(measured)) == 4
    results = Results(pgbench=measured)
    assert "scale 1" in document(results)
    save_results(tmp_path / "kept", results)
    assert load_results(tmp_path / "kept") == results
