"""The only module that starts programs.

Rules kept here: argument tuples, never a shell; a built environment (`LC_ALL=C`, `PATH`, `HOME` and what the
caller adds); each program in a session of its own, ended as a group; stderr drained by its own thread into a
bounded tail that the error quotes; every exit code checked after end of file; time-outs on silence, not on
duration.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import select
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from permafrost.errors import PermafrostError, ToolError

CHUNK_BYTES = 1 << 18  # pipes hold 64 KiB by default; PIPE_SIZE asks for this much
TAIL_LINES = 40
TERMINATE_GRACE_S = 5.0
STATUS_FD = "{status-fd}"
"""In `Program.argv`: replaced by the number of a pipe whose lines become `Finished.status`."""

_PACKAGES = {
    "gpg": "gnupg",
    "gpgconf": "gnupg",
    "zstd": "zstd",
    "pg_dump": "postgresql-client",
    "pg_restore": "postgresql-client",
    "psql": "postgresql-client",
    "syncthing": "syncthing",
}
_INHERITED = ("PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start: its arguments, what its environment adds, and what it needs of ours.

    `user` is the system user it runs as, with that user's groups; only root may name another than itself.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    user: str | None = None

    @property
    def name(self) -> str:
        """The program's own name, without its folder."""
        return Path(self.argv[0]).name


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: exit code (negative: the signal), the end of its stderr, its status lines."""

    program: Program
    returncode: int
    stderr_tail: str
    status: tuple[str, ...] = ()
    stdout: bytes = b""


class ProgramFailedError(ToolError):
    """A program ended with another exit code than 0; `finished` says how."""

    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        how = (
            f"was ended by signal {-finished.returncode}"
            if finished.returncode < 0
            else f"failed with exit code {finished.returncode}"
        )
        said = finished.stderr_tail.strip()
        super().__init__(f"{finished.program.name} {how}" + (f": {said}" if said else " and said nothing"))


class SilenceError(ToolError):
    """A program neither produced nor took anything for too long."""


def find_program(name: str) -> str:
    """Return the path of the program `name`; raise `ToolError` with the package to install, if known."""
    path = shutil.which(name)
    if path is None:
        raise ToolError(
            f"the program {name} is not on PATH",
            hint=f"install it, on Debian: apt-get install {_PACKAGES[name]}"
            if name in _PACKAGES
            else f"install it, or put the folder of {name} into PATH",
        )
    return path


def built_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that programs get: a few inherited names, `LC_ALL=C`, and `extra`."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "LC_ALL": "C", **extra}


@dataclass(frozen=True, slots=True)
class _Identity:
    """The ids a program starts with; None leaves ours."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def _identity_of(program: Program) -> _Identity:
    if program.user is None:
        return _Identity()
    try:
        entry = pwd.getpwnam(program.user)
    except KeyError as error:
        raise ToolError(f"there is no system user {program.user} to run {program.name} as") from error
    return _Identity(entry.pw_uid, entry.pw_gid, os.getgrouplist(program.user, entry.pw_gid))


class _LineDrain:
    """Reads a pipe's lines in a thread until its end, keeping the last `limit` (all, if None)."""

    def __init__(self, stream: IO[bytes], limit: int | None, on_line: Callable[[str], object] | None = None) -> None:
        self._lines: deque[str] = deque(maxlen=limit)
        self._on_line = on_line
        self._stream = stream
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with suppress(OSError, ValueError):
            while line := self._stream.readline(8192):
                text = line.decode("utf-8", "replace").rstrip("\n")
                self._lines.append(text)
                if self._on_line is not None:
                    self._on_line(text)

    def lines(self) -> tuple[str, ...]:
        self._thread.join(timeout=TERMINATE_GRACE_S)
        self._stream.close()
        return tuple(self._lines)


class _Running:
    """One started program with its drains."""

    def __init__(
        self,
        program: Program,
        *,
        stdin: int,
        stdout: int,
        folder: Path | None,
        on_line: Callable[[str], object] | None = None,
    ) -> None:
        argv = list(program.argv)
        identity = _identity_of(program)
        pass_fds = program.pass_fds
        status_read = status_write = None
        if STATUS_FD in argv:
            status_read, status_write = os.pipe()
            argv = [str(status_write) if word == STATUS_FD else word for word in argv]
            pass_fds = (*pass_fds, status_write)
        try:
            argv[0] = find_program(argv[0])
            self.popen = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env=built_environment(program.environment),
                pass_fds=pass_fds,
                cwd=folder,
                user=identity.user,
                group=identity.group,
                extra_groups=identity.extra_groups,
                start_new_session=True,
            )
        except BaseException as error:
            if status_read is not None:
                os.close(status_read)
            if isinstance(error, OSError):
                raise ToolError(f"cannot start {program.name}: {error.strerror}") from error
            raise
        finally:
            if status_write is not None:
                os.close(status_write)
        self.program = program
        assert self.popen.stderr is not None  # noqa: S101 - PIPE was asked for above
        self._stderr = _LineDrain(self.popen.stderr, TAIL_LINES, on_line)
        self._status = None
        if status_read is not None:
            self._status = _LineDrain(os.fdopen(status_read, "rb"), None)

        with _registry_lock:
            _registry.add(self)

    def wait(self) -> Finished:
        returncode = self.popen.wait()
        with _registry_lock:
            _registry.discard(self)
        status = self._status.lines() if self._status else ()
        return Finished(self.program, returncode, "\n".join(self._stderr.lines()), status)

    def end(self) -> None:
        """End the program's whole group: politely, then not."""
        for number, patience_s in ((signal.SIGTERM, TERMINATE_GRACE_S), (signal.SIGKILL, None)):
            if self.popen.poll() is not None:
                break
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(patience_s)


_registry: set[_Running] = set()
_registry_lock = threading.Lock()


def end_every_program() -> None:
    """End every program of every pipeline, in whatever thread it runs; their threads see it as a failure.

    For a run that is given up while its workers wait for programs. Daemons are left alone.
    """
    with _registry_lock:
        running = list(_registry)
    for one in running:
        one.end()


class Pipeline:
    """Programs joined by pipes; the first reads `source`, the last is read here or discards its output.

    `source` is None (nothing to read), an open file descriptor, or an iterable of bytes that a thread feeds.
    Leaving the `with` block before `finish()` ends every program. `silence_s` is how long `chunks()` waits for
    the next bytes before it gives up.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        source: int | Iterable[bytes] | None = None,
        output_discarded: bool = False,
        silence_s: float | None = None,
    ) -> None:
        self._programs = programs
        self._source = source
        self._output_discarded = output_discarded
        self._silence_s = silence_s
        self._running: list[_Running] = []
        self._output: IO[bytes] | None = None
        self._feeder: threading.Thread | None = None
        self._feed_error: BaseException | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_all()

    def _start(self) -> None:
        stdin = subprocess.DEVNULL
        if isinstance(self._source, int):
            stdin = self._source
        elif self._source is not None:
            stdin = subprocess.PIPE
        last = len(self._programs) - 1
        for index, program in enumerate(self._programs):
            discarded = index == last and self._output_discarded
            stdout = subprocess.DEVNULL if discarded else subprocess.PIPE
            running = _Running(program, stdin=stdin, stdout=stdout, folder=None)
            if index and self._output is not None:
                self._output.close()  # ours; the child has its own copy, so the writer sees SIGPIPE when it dies
            self._running.append(running)
            self._output = running.popen.stdout
            if self._output is not None:
                _widen_pipe(self._output)
                stdin = self._output.fileno()
        first = self._running[0].popen.stdin
        if first is not None:
            self._feeder = threading.Thread(target=self._feed, args=(first,), daemon=True)
            self._feeder.start()

    def _feed(self, stream: IO[bytes]) -> None:
        assert self._source is not None  # noqa: S101 - started only for an iterable
        assert not isinstance(self._source, int)  # noqa: S101
        try:
            for chunk in self._source:
                stream.write(chunk)
        except BrokenPipeError:
            pass  # the program ended early; its exit code says why
        except BaseException as error:  # noqa: BLE001 - carried to finish(), where the caller is
            self._feed_error = error
        with suppress(BrokenPipeError):
            stream.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield what the last program writes, until its end of file."""
        assert self._output is not None  # noqa: S101 - not with output_discarded
        descriptor = self._output.fileno()
        while True:
            ready, _, _ = select.select([descriptor], [], [], self._silence_s)
            if not ready:
                names = " | ".join(program.name for program in self._programs)
                raise SilenceError(
                    f"{names} produced nothing for {self._silence_s:.0f} s",
                    hint="look for a lock that it waits for, or a network that swallows packets",
                )
            chunk = os.read(descriptor, CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    def wait(self) -> list[Finished]:
        """Wait for every program to end, and return how they did, without judging."""
        finished = [running.wait() for running in self._running]
        if self._feeder is not None:
            self._feeder.join()
        if self._feed_error is not None:
            raise self._feed_error
        return finished

    def finish(
        self, explain: Callable[[Finished], PermafrostError | None] | None = None, *, last_only: bool = False
    ) -> list[Finished]:
        """Wait for every program, and raise for the first that did not end with 0; with `last_only`, for the last.

        A program that was cut off because a later one failed is not the cause, so the others are judged first.
        `explain` may turn a failure into a more telling error, and may fail a program that ended with 0.
        """
        finished = self.wait()
        judged = finished[-1:] if last_only else finished
        for program in sorted(judged, key=_is_cut_off):
            error = explain(program) if explain else None
            if error is not None:
                raise error
            if program.returncode != 0:
                raise ProgramFailedError(program)
        return finished

    def _end_all(self) -> None:
        for running in self._running:
            running.end()
        if self._output is not None:
            self._output.close()
        for running in self._running:
            running.wait()
        self._running = []


def _is_cut_off(finished: Finished) -> bool:
    """Return whether nobody read on: most programs die of SIGPIPE; gpg ignores it and reports EPIPE."""
    return finished.returncode == -signal.SIGPIPE or os.strerror(errno.EPIPE) in finished.stderr_tail


def _widen_pipe(stream: IO[bytes]) -> None:
    with suppress(OSError):  # a limit of the user's (pipe(7), pipe-user-pages-soft); only speed is lost
        fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, CHUNK_BYTES)


def run(
    program: Program,
    *,
    stdin: bytes = b"",
    timeout_s: float | None = None,
    folder: Path | None = None,
) -> Finished:
    """Run a short program to its end and return how it ended, with all of its stdout; no exit code is judged.

    Raise `ToolError` if it cannot be started, `SilenceError` if it takes longer than `timeout_s`.
    """
    running = _Running(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, folder=folder)
    popen = running.popen
    assert popen.stdin is not None  # noqa: S101 - PIPE was asked for
    assert popen.stdout is not None  # noqa: S101
    collected: list[bytes] = []
    reader = threading.Thread(target=lambda: collected.append(_read_all(popen.stdout)), daemon=True)
    reader.start()
    try:
        with suppress(BrokenPipeError):
            popen.stdin.write(stdin)
        with suppress(BrokenPipeError):
            popen.stdin.close()
        try:
            popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise SilenceError(f"{program.name} did not end within {timeout_s:.0f} s") from error
        reader.join(TERMINATE_GRACE_S)
    finally:
        running.end()
        finished = running.wait()
        popen.stdout.close()
    return Finished(program, finished.returncode, finished.stderr_tail, finished.status, b"".join(collected))


def _read_all(stream: IO[bytes] | None) -> bytes:
    if stream is None:
        return b""
    with suppress(OSError, ValueError):
        return stream.read()
    return b""


def run_checked(program: Program, *, stdin: bytes = b"", timeout_s: float | None = None) -> bytes:
    """Run a short program and return its stdout; raise `ProgramFailedError` unless it ended with 0."""
    finished = run(program, stdin=stdin, timeout_s=timeout_s)
    if finished.returncode != 0:
        raise ProgramFailedError(finished)
    return finished.stdout


class Attended:
    """A program that nobody waits for: its lines on stderr are handed on as they come, by a thread."""

    def __init__(self, program: Program, on_line: Callable[[str], object]) -> None:
        self._running = _Running(
            program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, folder=None, on_line=on_line
        )
        self._collected: list[bytes] = []
        stream = self._running.popen.stdout
        self._reader = threading.Thread(target=lambda: self._collected.append(_read_all(stream)), daemon=True)
        self._reader.start()
        self._finished: Finished | None = None

    def finished(self) -> Finished | None:
        """Return how it ended, with all of its stdout; None while it runs."""
        if self._finished is None and self._running.popen.poll() is not None:
            self._reader.join(TERMINATE_GRACE_S)
            told = self._running.wait()
            if self._running.popen.stdout is not None:
                self._running.popen.stdout.close()
            stdout = b"".join(self._collected)
            self._finished = Finished(told.program, told.returncode, told.stderr_tail, told.status, stdout)
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


class Daemon:
    """A long-running program, its output appended to a log file, that ends when told to."""

    def __init__(self, program: Program, log_file: Path, *, folder: Path | None = None) -> None:
        argv = [find_program(program.argv[0]), *program.argv[1:]]
        identity = _identity_of(program)
        with log_file.open("ab") as log:
            try:
                self._popen = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=built_environment(program.environment),
                    cwd=folder,
                    user=identity.user,
                    group=identity.group,
                    extra_groups=identity.extra_groups,
                    start_new_session=True,
                )
            except OSError as error:
                raise ToolError(f"cannot start {program.name}: {error.strerror}") from error

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


def session_members(session_id: int) -> list[int]:
    """Return the ids of the live processes whose session is `session_id`."""
    return [pid for pid, _, session in _live_processes() if session == session_id]


def descendants(pid: int) -> list[int]:
    """Return the ids of the live processes that `pid` started, and that those started, and so on."""
    children: dict[int, list[int]] = {}
    for child, parent, _ in _live_processes():
        children.setdefault(parent, []).append(child)
    found = list(children.get(pid, ()))
    for one in found:  # it grows meanwhile
        found.extend(children.get(one, ()))
    return found


def _live_processes() -> Iterator[tuple[int, int, int]]:
    """Yield process id, parent and session of each (proc(5), /proc/PID/stat fields 4 and 6)."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        state, parent, session = fields[0], int(fields[1]), int(fields[3])
        if state not in "ZX":
            yield int(folder.name), parent, session
