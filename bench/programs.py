"""Runs programs for the systems that are measured; every failure is an error with what the program said."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.memory import PeakMemory

_END_S = 30.0


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


class LeftOutError(BenchError):
    """A system cannot back up this server, and the others can do without it; the text says why."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that PostgreSQL's user can pass through."""
    with tempfile.TemporaryDirectory(prefix="permafrost-bench-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def gpg_with_passphrase(file: Path, home: Path) -> tuple[str, ...]:
    """Write a new passphrase into a file, and return gpg with it, as the published set-up runs it."""
    file.touch(mode=0o600)
    file.write_text(secrets.token_hex(20) + "\n")
    return (
        *("gpg", "--homedir", str(home), "--batch", "--yes"),
        *("--pinentry-mode", "loopback", "--passphrase-file", str(file)),
    )


def pipe(
    *programs: Sequence[str | Path],
    source: Path | None = None,
    target: Path | None = None,
    extra: Mapping[str, str] = {},
    user: str | None = None,
) -> None:
    """Run programs joined by pipes, from `source` (or nothing) into `target` (or nowhere), as `user` if given."""
    environment = {**os.environ, "LC_ALL": "C", **extra}
    with ExitStack() as opened:
        said = opened.enter_context(tempfile.TemporaryFile())
        sink = opened.enter_context(target.open("wb")) if target else None
        before = opened.enter_context(source.open("rb")) if source else None
        running: list[subprocess.Popen[bytes]] = []
        opened.callback(_end, running)
        for number, argv in enumerate(programs):
            stdin = running[-1].stdout if running else before
            is_last = number == len(programs) - 1
            running.append(
                subprocess.Popen(
                    argv,
                    stdin=stdin or subprocess.DEVNULL,
                    stdout=(sink or subprocess.DEVNULL) if is_last else subprocess.PIPE,
                    stderr=said,
                    env=environment,
                    user=user,
                    group=user,
                    extra_groups=[] if user else None,
                    cwd="/" if user else None,
                )
            )
            if running[:-1] and stdin is not None:
                stdin.close()  # ours; the writer has to see it when its reader dies
        codes = [one.wait() for one in running]
        if any(codes):
            said.seek(0)
            names = " | ".join(Path(argv[0]).name for argv in programs)
            raise BenchError(f"{names} ended with {codes}: {said.read().decode(errors='replace').strip()}")


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what a signal or an error has left running."""
    for one in running:
        if one.poll() is None:
            one.kill()
            one.wait()


@dataclass(frozen=True, slots=True)
class Told:
    """What a permafrost command said on stdout, and the most memory that was resident in its process."""

    text: str
    peak_bytes: int


@contextmanager
def service(*words: str, log: Path) -> Iterator[int]:
    """Run a permafrost command beside the block, and yield its process id; what it says goes into the file."""
    with log.open("wb") as said:
        running = subprocess.Popen(
            _permafrost(words), stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=_environment()
        )
        try:
            yield running.pid
        finally:
            running.terminate()
            try:
                running.wait(_END_S)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _permafrost(words: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "permafrost", *words)


def _environment(source: Path | None = None) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PERMAFROST_"))}
    return ours if source is None else {**ours, "PYTHONPATH": str(source)}


def permafrost(*words: str, codes: Sequence[int] = (0,), source: Path | None = None) -> Told:
    """Run the permafrost command of this environment to its end, which is one of these exit codes.

    With `source` it is the permafrost in that folder, with this environment's libraries.
    """
    with subprocess.Popen(
        _permafrost(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(source),
    ) as running:
        memory = PeakMemory(running.pid)
        try:
            told, complained = running.communicate()
        except BaseException:
            running.terminate()  # not killed: it has programs of its own to end
            raise
        finally:
            memory.stop()
    if running.returncode not in codes:
        raise BenchError(f"permafrost {words[0]} ended with {running.returncode}: {told}{complained}")
    return Told(told, memory.peak_bytes)


def permafrost_steps(*words: str, on_step: Callable[[str, int], object]) -> None:
    """Run the permafrost command with --json to its end; `on_step` hears each step's title, and the process id."""
    with subprocess.Popen(
        _permafrost(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as running:
        assert running.stderr is not None  # noqa: S101 - it is a pipe
        said = []
        try:
            for line in running.stderr:
                said.append(line)
                event = json.loads(line) if line.startswith('{"event"') else {}
                if event.get("event") == "StepStarted":
                    on_step(event["title"], running.pid)
        except BaseException:
            running.terminate()
            raise
    if running.returncode != 0:
        raise BenchError(f"permafrost {words[0]} ended with {running.returncode}: {''.join(said[-20:])}")
