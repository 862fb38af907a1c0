"""Machines of the demo: a folder each, in which commands run as if they were typed there.

Every program that is started here has TMPDIR set to a folder of this run alone, and permafrost hands that on. So
whatever is left in the end can be told from everybody else's programs, and nothing else is ever ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from demo.account import Account

UP_S = 60.0
END_S = 20.0
_LOOK_S = 0.05


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


class CommandFailedError(DemoError):
    """A command did not end with 0."""


class Machine:
    """A folder that plays a machine called `name`."""

    def __init__(self, name: str, folder: Path, temporary: Path, account: Account) -> None:
        folder.mkdir(exist_ok=True)
        self.name = name
        self.folder = folder
        self.variables: dict[str, str] = {}
        self._temporary = temporary
        self._account = account

    def export(self, variable: str, value: str) -> None:
        """Set a variable for the commands that follow."""
        self._account.typed(self.name, ("export", f"{variable}={value}"))
        self.variables[variable] = value

    def permafrost(self, *words: str, shown: int | None = None) -> list[str]:
        """Run permafrost to its end and return the lines that it printed, of which the first `shown` are shown."""
        return self.program(("permafrost", *words), _permafrost(words), shown=shown)

    def program(self, typed: Sequence[str], argv: Sequence[str], *, shown: int | None = None) -> list[str]:
        """Run `argv`, shown as `typed`; raise `CommandFailedError` unless it ends with 0."""
        self._account.typed(self.name, typed)
        with self._started(argv) as started:
            assert started.stdout is not None  # noqa: S101 - PIPE was asked for
            lines = []
            for line in started.stdout:
                lines.append(line.rstrip("\n"))
                if shown is None or len(lines) <= shown:
                    self._account.said(lines[-1])
            code = started.wait()
        hidden = lines[shown:] if shown is not None else []
        if code != 0:
            for line in hidden[-10:]:
                self._account.said(line)
            raise CommandFailedError(f"{' '.join(typed[:3])} ended with exit code {code}")
        if hidden:
            self._account.said(f"... ({len(hidden)} more lines)")
        return lines

    @contextmanager
    def service(self, *words: str, until: str = "") -> Iterator[Service]:
        """Run permafrost beside what follows, from when it has printed `until` to the end of the block."""
        self._account.typed(self.name, ("permafrost", *words), is_beside=True)
        with self._started(_permafrost(words)) as started:
            service = Service(("permafrost", *words), started, lambda line: self._account.said(f"{self.name}: {line}"))
            try:
                if until:
                    service.wait_for(until)
                yield service
            finally:
                service.hush()

    @contextmanager
    def _started(self, argv: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        started = subprocess.Popen(
            argv,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the demo, which ends them in order
        )
        try:
            yield started
        finally:
            _end(started)
            if started.stdout is not None:
                started.stdout.close()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PERMAFROST_"))}
        return {**kept, "TMPDIR": str(self._temporary), "PYTHONUNBUFFERED": "1", **self.variables}


class Service:
    """A command that runs beside the others; its lines are shown as they come."""

    def __init__(self, typed: Sequence[str], started: subprocess.Popen[str], show: Callable[[str], None]) -> None:
        self._typed = " ".join(typed)
        self._started = started
        self._show = show
        self._said: list[str] = []
        self._news = threading.Condition()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._started.pid

    def wait_for(self, text: str, within_s: float = UP_S) -> str:
        """Return the first line with `text` in it, once it was printed; show what was printed until then."""
        with self._news:
            self._news.wait_for(lambda: self._has_ended or self._line_with(text) is not None, within_s)
            line = self._line_with(text)
        if line is None:
            how = "ended" if self._has_ended else f"went on for {within_s:.0f} s"
            raise CommandFailedError(f"{self._typed} {how} without saying {text!r}; it said: {' | '.join(self._said)}")
        return line

    def finish(self, within_s: float = UP_S) -> None:
        """Wait until it ends by itself; raise `CommandFailedError` unless with 0."""
        try:
            code = self._started.wait(within_s)
        except subprocess.TimeoutExpired as error:
            raise CommandFailedError(f"{self._typed} did not finish within {within_s:.0f} s") from error
        self._reader.join(END_S)
        if code != 0:
            raise CommandFailedError(f"{self._typed} ended with exit code {code}")

    def stop(self) -> None:
        """End it with SIGTERM, as a service manager does; raise `CommandFailedError` if that takes SIGKILL."""
        _end(self._started)
        if self._started.returncode == -signal.SIGKILL:
            raise CommandFailedError(f"{self._typed} did not finish within {END_S:.0f} s of SIGTERM")
        self._reader.join(END_S)

    def hush(self) -> None:
        """Show nothing more of it."""
        self._show = _nobody

    def _read(self) -> None:
        with suppress(ValueError, OSError):  # the block has ended, and the pipe with it
            for line in self._started.stdout or ():
                self._show(line.strip())
                with self._news:
                    self._said.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def _line_with(self, text: str) -> str | None:
        return next((line for line in self._said if text in line), None)


def _nobody(line: str) -> None:
    del line


def _permafrost(words: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "permafrost", *words)


def _end(started: subprocess.Popen[str]) -> None:
    if started.poll() is None:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(END_S)
    if started.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def end_leftovers(folder: Path) -> list[str]:
    """End every process that names `folder` in its arguments or environment, and return what they were.

    What has been killed already may need a moment on a busy machine, and is none of them.
    """
    deadline = time.monotonic() + 5
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    found: dict[int, str] = {}
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 5
        alive = processes_of(folder)
        found |= alive
        for pid in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        while alive and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            alive = processes_of(folder)
    return sorted(found.values())


def processes_of(folder: Path) -> dict[int, str]:
    """Return the processes that name `folder` in their arguments or environment, by id, without this one."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            arguments = (entry / "cmdline").read_bytes()
            told = arguments
            with suppress(PermissionError):  # another user's
                told += (entry / "environ").read_bytes()
            if os.fsencode(folder) in told:
                found[int(entry.name)] = arguments.replace(b"\0", b" ").decode(errors="replace").strip()
    return found
