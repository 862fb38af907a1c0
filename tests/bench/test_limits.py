from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.cpu_by_program import CpuByProgram
from bench.limits import measure_limits
from bench.report import document, summary
from bench.results import Facts, Results, load_results, save_results

FACTS = Facts("2026-11-26", "python -m bench --size 0.02 --limits 1", 2, 0.25, {"gpg": "2.2.40"})
BUSY = """
import time
end = time.process_time() + 0.4
while time.process_time() < end:
    pass
print(time.process_time(), flush=True)
"""


@pytest.mark.long
def test_every_piece_is_measured(server_folder: Path, tmp_path: Path) -> None:
    """First backup, restore and what they cannot do without are measured by program, and a restore by step."""
    folder = server_folder / "limits"
    folder.mkdir(mode=0o711)
    measured = measure_limits(folder, FACTS, 16_500_000, 1, print)
    assert [way.name for way in measured.ways if way.is_limit] == [
        "pg_dump, zstd -3, to nowhere",
        "pg_restore -j2 of the rows",
        "pg_restore -j2 of indexes and keys",
    ]
    ours = next(way for way in measured.ways if way.name == "permafrost restore").runs[0]
    assert ours.cpu_s["python"] > 0.1
    assert ours.server_cpu_s > 0.1
    steps = measured.steps[0]
    assert "load rows" in [step.title for step in steps]
    assert 0 < sum(step.cpu_s for step in steps) <= sum(ours.cpu_s.values()) + 0.1
    results = Results(limits=measured)
    assert "## What a first backup and a restore cannot do without" in document(results)
    assert any(line.startswith("permafrost backup, first") for line in summary(results))
    save_results(tmp_path / "kept", results)
    assert load_results(tmp_path / "kept") == results


def test_processor_time_is_found_by_program() -> None:
    """A grandchild's processor time is its program's, and the shell's that waits for it is not."""
    words = ("sh", "-c", 'read go; "$@"; true', "sh", sys.executable, "-c", BUSY)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        followed = CpuByProgram(parent.pid)
        used_s = float(parent.communicate("go\n")[0])
        found = followed.stop()
    (name,) = (name for name in found if name.startswith("python"))
    assert 0.3 <= found[name] <= used_s + 0.2
    assert found.get("sh", 0) < 0.1


def test_what_was_used_before_is_not_counted() -> None:
    """A descendant that worked before it was followed, and idles since, has used nothing."""
    words = ("sh", "-c", '"$@"; true', "sh", sys.executable, "-c", BUSY + "\ninput()")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert float(parent.stdout.readline()) >= 0.4
        followed = CpuByProgram(parent.pid)
        parent.communicate("\n")
        assert sum(followed.stop().values()) < 0.2
