"""The lock: one run at a time, and nothing to clean after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.errors import LockedError
from permafrost.repository.layout import Layout
from permafrost.repository.lock import repository_lock

NOW = datetime(2026, 11, 22, 23, 40, tzinfo=UTC)
HOLD = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from permafrost.repository.layout import Layout
from permafrost.repository.lock import repository_lock
with repository_lock(Layout(Path(sys.argv[1])), "backup", datetime.now(UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_holder_is_refused(tmp_path: Path) -> None:
    """While it is held another is refused, told by whom; afterwards it is free."""
    layout = Layout(tmp_path)
    with (
        repository_lock(layout, "backup", NOW),
        pytest.raises(LockedError, match=f"backup, process {os.getpid()}, since 2026-11-22T23:40:00") as caught,
        repository_lock(layout, "prune", NOW),
    ):
        pass
    assert caught.value.exit_code == 11
    with repository_lock(layout, "prune", NOW):
        pass


def test_killed_holder_leaves_it_free(tmp_path: Path) -> None:
    """A holder that is killed with -9 holds nothing any more."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {holder.pid}"), repository_lock(Layout(tmp_path), "x", NOW):
            pass
        holder.kill()
        holder.wait()
    with repository_lock(Layout(tmp_path), "backup", NOW):
        pass
