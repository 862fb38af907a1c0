"""Short programs, run to their end."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from permafrost.processes.program import Finished, Program, ProgramFailedError, SilenceError
from permafrost.processes.running import Running


def run(
    program: Program,
    *,
    stdin: bytes = b"",
    timeout_s: float | None = None,
    folder: Path | None = None,
    keeps_output: bool = True,
) -> Finished:
    """Run a short program to its end and return how it ended, with all of its stdout; no exit code is judged.

    Without `keeps_output` its stdout goes nowhere: for programs that are not ours, and may print without end.
    Raise `ToolError` if it cannot be started, `SilenceError` if it takes longer than `timeout_s`.
    """
    stdout = subprocess.PIPE if keeps_output else subprocess.DEVNULL
    running = Running(program, stdin=subprocess.PIPE, stdout=stdout, folder=folder, is_collected=True)
    popen = running.popen
    assert popen.stdin is not None  # noqa: S101 - PIPE was asked for
    try:
        with suppress(BrokenPipeError):
            popen.stdin.write(stdin)
        with suppress(BrokenPipeError):
            popen.stdin.close()
        try:
            popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise SilenceError(f"{program.name} did not finish within {timeout_s:.0f} s") from error
    finally:
        running.end()
        finished = running.wait()
    return finished


def run_checked(program: Program, *, stdin: bytes = b"", timeout_s: float | None = None) -> bytes:
    """Run a short program and return its stdout; raise `ProgramFailedError` unless it ended with 0."""
    finished = run(program, stdin=stdin, timeout_s=timeout_s)
    if finished.returncode != 0:
        raise ProgramFailedError(finished)
    return finished.stdout
