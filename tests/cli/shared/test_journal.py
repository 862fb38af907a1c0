"""What a service writes into systemd's journal: a real systemd-journald, in a /run of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from permafrost.cli.shared import journal

JOURNALD = Path("/lib/systemd/systemd-journald")
TRIAL = """\
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
"$1" & journald=$!
trap 'kill $journald' EXIT
until [ -S /run/systemd/journal/stdout ]; do kill -0 $journald; done
systemd-cat --identifier=permafrost sh -c '
    export JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2)
    exec "$@"' - "$2" -c "$3"
journalctl --sync
journalctl --directory=/run/log/journal --identifier=permafrost --output=json --no-pager
"""
TOLD = """\
from permafrost.cli.shared.rendering import Rendering
from permafrost.events import JobEnded, Note, Warned

report = Rendering(as_json=False).report
report(Note("a note"))
report(Warned("a warning"))
report(JobEnded("backup: snapshot S, 7 kB new", "backup", "done", 0, 1.5, "S", 7000))
report(JobEnded("drill failed: one\\ntwo", "drill", "failed", 20, 2.5))
report(JobEnded("audit waits", "backup --audit", "waiting", 10, 0.1))
"""


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    """All entries that a real journal has of what was told."""
    if os.geteuid() != 0 or not JOURNALD.exists() or shutil.which("unshare") is None:
        pytest.skip("only root can start a systemd-journald with a /run of its own")
    if subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"], check=False).returncode:
        pytest.skip("this machine lets nobody mount anything")
    finished = subprocess.run(
        ["unshare", "--mount", "sh", "-c", TRIAL, "-", str(JOURNALD), sys.executable, TOLD],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_the_end_of_a_job_can_be_searched_by_its_fields(entries: list[dict[str, Any]]) -> None:
    """Each end is one entry, at its level, with the job, its outcome, its snapshot and its sizes as fields."""
    own = {"PERMAFROST_JOB", "PERMAFROST_OUTCOME", "PERMAFROST_SNAPSHOT", "PERMAFROST_BYTES_NEW", "MESSAGE", "PRIORITY"}
    ends = [{name: entry[name] for name in own & set(entry)} for entry in entries if "PERMAFROST_JOB" in entry]
    assert ends == [
        {
            "MESSAGE": "backup: snapshot S, 7 kB new",
            "PRIORITY": "5",
            "PERMAFROST_JOB": "backup",
            "PERMAFROST_OUTCOME": "done",
            "PERMAFROST_SNAPSHOT": "S",
            "PERMAFROST_BYTES_NEW": "7000",
        },
        {
            "MESSAGE": "drill failed: one\ntwo",
            "PRIORITY": "4",
            "PERMAFROST_JOB": "drill",
            "PERMAFROST_OUTCOME": "failed",
        },
        {
            "MESSAGE": "audit waits",
            "PRIORITY": "5",
            "PERMAFROST_JOB": "backup --audit",
            "PERMAFROST_OUTCOME": "waiting",
        },
    ]
    assert [entry["PERMAFROST_DURATION_S"] for entry in entries if "PERMAFROST_JOB" in entry] == ["1.5", "2.5", "0.1"]


def test_all_else_comes_as_lines_of_stderr(entries: list[dict[str, Any]]) -> None:
    """Notes and warnings are lines, warnings at their level."""
    lines = {entry["MESSAGE"].strip(): entry["PRIORITY"] for entry in entries if "PERMAFROST_JOB" not in entry}
    assert lines == {"a note": "6", "permafrost: warning: a warning": "4"}


def test_without_a_journal_nothing_is_sent(tmp_path: Path) -> None:
    """Where stderr is a file, or the journal's socket takes nothing, the text goes to stderr."""
    said = tmp_path / "stderr"
    for is_journal in (True, False):
        with said.open("w") as stderr:
            status = os.fstat(stderr.fileno())
            environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"} if is_journal else {}
            code = f"from permafrost.cli.shared import journal\njournal.SOCKET = {str(tmp_path / 'none')!r}\n{TOLD}"
            words = [sys.executable, "-c", code]
            subprocess.run(words, stderr=stderr, check=True, env=os.environ | environment)
        mark = f"<{journal.WARNING}>" if is_journal else ""
        assert said.read_text().splitlines()[1:4] == [
            f"{mark}permafrost: warning: a warning",
            "    backup: snapshot S, 7 kB new",
            f"{mark}permafrost: warning: drill failed: one",
        ]
