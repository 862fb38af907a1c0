"""permafrost status --watch on a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.config.writing import effective_toml
from samples.server_state import history_of, make_server_state
from tests.fixtures.syncthing import wait_for

CLEARED = "\x1b[H\x1b[2J"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """A terminal, and what was written to it."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._seen = b""

    def read(self) -> None:
        """Read until nobody holds the other side any more."""
        with suppress(OSError):
            while part := os.read(self._terminal, 65536):
                self._seen += part

    @property
    def pictures(self) -> list[str]:
        """What was shown, one after the other, without colours."""
        return COLOUR.sub("", self._seen.decode("utf-8", "replace")).replace("\r", "").split(CLEARED)[1:]


@contextmanager
def watched(config: Path, columns: int) -> Iterator[tuple[Screen, subprocess.Popen[bytes]]]:
    """Run the command on a terminal of so many columns during the block."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    words = (sys.executable, "-m", "permafrost", "status", "--watch", "--config", str(config))
    with subprocess.Popen(words, stdin=its, stdout=its, stderr=its, env=environment) as command:
        os.close(its)
        screen = Screen(ours)
        reader = threading.Thread(target=screen.read, daemon=True)
        reader.start()
        try:
            yield screen, command
        finally:
            command.terminate()
            command.wait(20)
            reader.join(20)
            os.close(ours)


@pytest.mark.parametrize("columns", [40, 80])
def test_it_shows_what_is_new(tmp_path: Path, columns: int) -> None:
    """It shows the status again and again, as wide as the terminal, with what has changed; Ctrl-C ends it as done."""
    configuration = make_server_state(tmp_path / "server", history_of("vault-silent", datetime.now(UTC)))
    config = tmp_path / "permafrost.toml"
    config.write_text(effective_toml(configuration))
    with watched(config, columns) as (screen, command):
        wait_for(lambda: any("runbook" in one for one in screen.pictures), "the status is shown", 60)
        (configuration.state.path / "status.json").unlink()  # nobody has looked at the receipts yet
        wait_for(lambda: "nothing has checked" in screen.pictures[-1], "what is new is shown", 60)
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == 0
    assert "nothing has checked" not in screen.pictures[0]
    assert max(len(line) for one in screen.pictures for line in one.splitlines()) <= columns
