"""Memory stays flat: what a run takes does not grow with the database, nor with how many rows a segment holds."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg

from tests.fixtures.server import MakeServer

MAXIMUM_MB = 250


def peak_mb(config: Path) -> int:
    """Run a backup as a program of its own, and return the most memory that it (not its children) ever had, in MB."""
    command = [sys.executable, "-m", "permafrost", "backup", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as backup:
        peak = 0
        while backup.returncode is None:
            try:
                status = Path(f"/proc/{backup.pid}/status").read_text()
            except OSError:
                break
            lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
            peak = max([peak, *(int(words[1]) // 1024 for words in lines)])
            with suppress(subprocess.TimeoutExpired):
                backup.wait(0.02)
        _, said = backup.communicate()
        assert backup.returncode == 0, said
    return peak


def test_the_narrowest_rows(database: str, make_server: MakeServer) -> None:
    """A segment of the narrowest rows has 1.8 million; two and a half of them stay below 250 MB, at first, with one
    row of a hundred changed, and unchanged."""
    server = make_server(database, engine="log")
    config = server.write_configuration()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE narrow AS SELECT i::int AS a FROM generate_series(1, 4500000) i")
        peaks = [peak_mb(config)]
        connection.execute("UPDATE narrow SET a = a WHERE a % 100 = 0")
        peaks += [peak_mb(config), peak_mb(config)]
    assert max(peaks) <= MAXIMUM_MB, peaks
    assert min(peaks) > 20, "nothing was measured"
