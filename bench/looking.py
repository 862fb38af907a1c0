"""Measures how long it takes to look: `permafrost status` as a command, and the page of a long history.

.venv/bin/python -m bench.looking prints it; `--config FILE` measures status on a server that exists.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from permafrost.config.writing import effective_toml
from permafrost.status.overview import server_overview
from permafrost.web.page import render_page
from samples.server_state import NOW, History, history_of, make_server_state

_ROUNDS = 7
_LONG_HOURS = 10_000


def seconds_of(work: Callable[[], object]) -> float:
    """Return the median of several rounds, in seconds; the first, which loads and caches, does not count."""
    took = []
    for _ in range(_ROUNDS + 1):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return median(took[1:])


def status_command(config: Path) -> None:
    """Run `permafrost status`."""
    command = (sys.executable, "-m", "permafrost", "status", "--config", str(config))
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def main(words: list[str]) -> None:
    """Measure, and print."""
    if words[:1] == ["--config"]:
        print(f"status: {seconds_of(lambda: status_command(Path(words[1]))):.3f} s")
        return
    long = replace(History(), hours=_LONG_HOURS, keeps_all=True)
    for name, history in (("a month of snapshots", history_of("healthy")), ("10,000 snapshots", long)):
        with tempfile.TemporaryDirectory() as folder:
            configuration = make_server_state(Path(folder) / "server", history)
            config = Path(folder) / "permafrost.toml"
            config.write_text(effective_toml(configuration))
            overview = server_overview(configuration, NOW)
            print(f"{name}: status {seconds_of(lambda: status_command(config)):.3f} s", end="")  # noqa: B023
            print(f", looking {seconds_of(lambda: server_overview(configuration, NOW)):.3f} s", end="")  # noqa: B023
            print(f", rendering {seconds_of(lambda: render_page(overview)):.3f} s")  # noqa: B023


if __name__ == "__main__":
    main(sys.argv[1:])
