"""Programs that run alongside, with child programs of their own, such as a service's jobs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

from permafrost.processes.proc import descendants
from permafrost.processes.program import Finished, Program
from permafrost.processes.running import Running


class Attended:
    """A program that nobody waits for: its lines on stderr are handed on as they come, by a thread."""

    def __init__(self, program: Program, on_line: Callable[[str], object]) -> None:
        self._running = Running(program, stdin=subprocess.DEVNULL, on_line=on_line, is_collected=True)
        self._finished: Finished | None = None

    def finished(self) -> Finished | None:
        """Return how it ended, with all of its stdout; None while it runs."""
        if self._finished is None and self._running.popen.poll() is not None:
            self._finished = self._running.wait()
        return self._finished

    def ask_to_end(self) -> None:
        """Send SIGTERM to the program itself, which has programs of its own to end."""
        if self._running.popen.poll() is None:
            self._running.popen.terminate()

    def end(self, patience_s: float) -> None:
        """End it: SIGTERM, and after `patience_s` SIGKILL to it and to every program below it."""
        self.ask_to_end()
        with suppress(subprocess.TimeoutExpired):
            self._running.popen.wait(patience_s)
        if self._running.popen.poll() is None:
            for pid in [*descendants(self._running.popen.pid), self._running.popen.pid]:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self._running.popen.wait()
        self.finished()
