from __future__ import annotations

from pathlib import Path

import pytest

from bench.growth import COMMANDS, VAULT_LOOK, measure_growth
from bench.growth_results import Size
from bench.report import document, summary
from bench.results import Facts, Results, load_results, save_results

FACTS = Facts("2026-11-26", "python -m bench --growth 2,4", 2, 0.25, {"gpg": "2.2.40"})


@pytest.mark.long
def test_commands_as_a_repository_grows(server_folder: Path, tmp_path: Path) -> None:
    """Each command is measured at each size, on a repository that all of them take for a real one."""
    folder = server_folder / "growth"
    folder.mkdir(mode=0o711)
    sizes = [Size(2, 6, 10), Size(4, 12, 20)]
    measured = measure_growth(folder, FACTS, sizes, print)
    names = (*COMMANDS, VAULT_LOOK)
    assert [(run.command, run.size) for run in measured.runs] == [(name, size) for size in sizes for name in names]
    assert all(run.cpu_s > 0.05 for run in measured.runs if run.command in COMMANDS)
    assert all(0 < run.cpu_s < 1 for run in measured.runs if run.command == VAULT_LOOK)
    results = Results(growth=measured)
    assert "## As the years go by" in document(results)
    assert any(line.startswith("verify") for line in summary(results))
    save_results(tmp_path / "kept", results)
    assert load_results(tmp_path / "kept") == results
