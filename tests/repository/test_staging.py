"""Building out of sight: all appears or nothing, and what a killed run left is removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from permafrost.repository.staging import STAGING_PREFIX, Placing

_KILLED = """
import os, sys
from pathlib import Path
from permafrost.repository.staging import Placing
with Placing() as placing:
    placing.stage(Path(sys.argv[1])).write_text("half a dump")
    os.kill(os.getpid(), 9)
"""


def test_a_killed_run_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    """The hidden folder of a killed run is removed by the next one beside it; one in use and a link stay."""
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "out.dump")], check=False)
    (left,) = tmp_path.glob(f"{STAGING_PREFIX}*")
    assert (left / "out.dump").read_text() == "half a dump"
    link = tmp_path / f"{STAGING_PREFIX}linked"
    link.symlink_to(tmp_path)
    with Placing() as other, Placing() as placing:
        used = other.stage(tmp_path / "other")
        used.touch()
        placing.stage(tmp_path / "out.dump").write_text("whole")
        placing.place()
        assert not left.exists()
        assert used.exists()
    assert sorted(tmp_path.iterdir()) == [link, tmp_path / "out.dump"]
    assert (tmp_path / "out.dump").read_text() == "whole"
