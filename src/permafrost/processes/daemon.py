"""Long-running programs, such as Syncthing and scratch servers."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from permafrost.processes.launch import TERMINATE_GRACE_S, launch
from permafrost.processes.proc import session_members
from permafrost.processes.program import Program


class Daemon:
    """A long-running program, its output appended to a log file, that ends when told to."""

    def __init__(self, program: Program, log_file: Path, *, folder: Path | None = None) -> None:
        with log_file.open("ab") as log:
            self._popen = launch(program, stdin=subprocess.DEVNULL, stdout=log, stderr=log, folder=folder)

    @property
    def pid(self) -> int:
        """The process id, which is also its session's and its group's id."""
        return self._popen.pid

    def returncode(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._popen.poll()

    def wait(self, timeout_s: float) -> bool:
        """Return whether it has ended within `timeout_s`."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout_s)
        return self._popen.poll() is not None

    def end(self, grace_s: float = TERMINATE_GRACE_S) -> None:
        """End it: SIGTERM to the program, then SIGKILL to every process of its session.

        Syncthing's monitor starts its worker in another process group of the same session, so a group's end
        would leave the worker behind.
        """
        if self._popen.poll() is None:
            with suppress(ProcessLookupError):
                self._popen.terminate()
            self.wait(grace_s)
        for pid in session_members(self.pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._popen.wait()
