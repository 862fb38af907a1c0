"""A started program under supervision: threads drain stderr and status, and its process group is stopped.

The stderr is kept as a bounded tail, which the error quotes. Whoever gives up a run can end every running program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from permafrost.processes.launch import TERMINATE_GRACE_S, launch
from permafrost.processes.program import STATUS_FD, Finished, Program

_HEAD_LINES = 20
_TAIL_LINES = 40


class Running:
    """One started program with its drains; `on_line` hears each line of its stderr.

    With `is_collected` its stdout is a pipe that is read to its end by a thread, and is in what `wait` returns.
    """

    def __init__(
        self,
        program: Program,
        *,
        stdin: int,
        stdout: int = subprocess.PIPE,
        folder: Path | None = None,
        on_line: Callable[[str], object] | None = None,
        is_collected: bool = False,
    ) -> None:
        self.program = program
        status = None
        if STATUS_FD in program.argv:
            self.popen, status = _launched_with_status(program, stdin, stdout, folder)
        else:
            self.popen = launch(program, stdin=stdin, stdout=stdout, folder=folder)
        assert self.popen.stderr is not None  # noqa: S101 - launch requests PIPE
        self._stderr = _LineDrain(self.popen.stderr, _TAIL_LINES, on_line)
        self._status = _LineDrain(status, None) if status is not None else None
        self._output = _OutputDrain(self.popen.stdout) if is_collected and self.popen.stdout is not None else None
        with _registry_lock:
            _registry.add(self)

    def wait(self) -> Finished:
        """Return how it ended, once it has."""
        returncode = self.popen.wait()
        with _registry_lock:
            _registry.discard(self)
        status = self._status.lines() if self._status else ()
        stderr_tail = "\n".join(self._stderr.lines())
        stdout = self._output.content() if self._output else b""
        return Finished(self.program, returncode, stderr_tail, status, stdout)

    def end(self) -> None:
        """End the program's whole group: politely, then not."""
        for number, patience_s in ((signal.SIGTERM, TERMINATE_GRACE_S), (signal.SIGKILL, None)):
            if self.popen.poll() is not None:
                break
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(patience_s)


def _launched_with_status(
    program: Program, stdin: int, stdout: int, folder: Path | None
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Return the program, started with a pipe in place of `STATUS_FD`, and the end of that to read."""
    read_end, write_end = os.pipe()
    argv = tuple(str(write_end) if word == STATUS_FD else word for word in program.argv)
    with_status = replace(program, argv=argv, pass_fds=(*program.pass_fds, write_end))
    try:
        popen = launch(with_status, stdin=stdin, stdout=stdout, folder=folder)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return popen, os.fdopen(read_end, "rb")


_registry: set[Running] = set()
_registry_lock = threading.Lock()


def end_every_program() -> None:
    """End every program of every pipeline, in whatever thread it runs; their threads see it as a failure.

    For a run that is given up while its workers wait for programs. Daemons are left alone.
    """
    with _registry_lock:
        running = list(_registry)
    for program in running:
        program.end()


class _LineDrain:
    """Reads a pipe's lines in a thread until its end, keeping the last `limit` (all, if None) and the first few.

    pg_restore says first what failed, and then quotes a command of any length.
    """

    def __init__(self, stream: IO[bytes], limit: int | None, on_line: Callable[[str], object] | None = None) -> None:
        self._first: list[str] = []
        self._first_limit = 0 if limit is None else _HEAD_LINES
        self._lines: deque[str] = deque(maxlen=limit)
        self._count = 0
        self._on_line = on_line
        self._stream = stream
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with suppress(OSError, ValueError):
            while line := self._stream.readline(8192):
                text = line.decode("utf-8", "replace").rstrip("\n")
                self._count += 1
                if self._count <= self._first_limit:
                    self._first.append(text)
                else:
                    self._lines.append(text)
                if self._on_line is not None:
                    self._on_line(text)

    def lines(self) -> tuple[str, ...]:
        self._thread.join(timeout=TERMINATE_GRACE_S)
        self._stream.close()
        left_out = self._count - len(self._first) - len(self._lines)
        between = (f"[{left_out} lines omitted]",) if left_out > 0 else ()
        return (*self._first, *between, *self._lines)


class _OutputDrain:
    """Reads a pipe in a thread until its end, or until nobody waits for the rest any more."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._collected: list[bytes] = []
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with suppress(OSError, ValueError):
            self._collected.append(self._stream.read())

    def content(self) -> bytes:
        self._thread.join(timeout=TERMINATE_GRACE_S)
        self._stream.close()
        return b"".join(self._collected)
