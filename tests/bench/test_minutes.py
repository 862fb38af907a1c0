from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.minutes import measure_minutes
from bench.programs import service
from bench.results import Facts
from bench.server_cpu import cpu_of_tree_s
from tests.fixtures.syncthing import wait_for

FACTS = Facts("2026-11-25", "python -m bench --minutes 2 --size 0.02", 2, 0.25, {"gpg": "2.2.40"})


@pytest.mark.long
def test_runs_on_the_clock_reach_the_vault(server_folder: Path) -> None:
    """Every run's snapshot is held by a vault that was paired for real, and the last one is restored from there."""
    folder = server_folder / "minutes"
    folder.mkdir(mode=0o711)
    measured = measure_minutes(folder, FACTS, 1_000_000, 2, print, pause_s=6.0)
    assert measured.snapshots == measured.vault_snapshots == 3
    assert measured.rows_equal > measured.data.rows
    for one in measured.minutes:
        assert one.run.rows_new > 50
        assert one.run.wal_bytes is not None
        assert 0 < one.run.wal_bytes < 5_000_000
        assert one.run.wall_s < one.held_s < one.elapsed_s + one.late_s
        assert one.run.counted_bytes < one.sent_bytes < one.run.counted_bytes + 20_000
        assert 0 < one.vault_share < 1
        assert one.server_share * one.elapsed_s > one.run.cpu_s
    assert sum(one.elapsed_s for one in measured.minutes) >= 12


def test_processor_time_of_descendants_is_seen() -> None:
    """A grandchild that still works counts, unless it is to be left out."""
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
    with subprocess.Popen(
        ("sh", "-c", '"$@"; true', "sh", sys.executable, "-c", busy), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout
        running.stdout.readline()
        assert cpu_of_tree_s(running.pid) >= 0.28
        assert cpu_of_tree_s(running.pid, without=running.pid) == 0


def test_a_service_ends_with_its_block(tmp_path: Path) -> None:
    """What it says is in its file, and nothing of it is left afterwards."""
    log = tmp_path / "log"
    with service("vault", "run", f"--path={tmp_path}", log=log) as pid:
        wait_for(lambda: "there is no vault" in log.read_text(), "it says what is wrong")
    assert not Path(f"/proc/{pid}").exists()
