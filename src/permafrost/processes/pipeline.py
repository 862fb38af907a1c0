"""Programs connected by pipes: every exit code is checked after end of file; timeouts limit silence, not duration."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

from permafrost.errors import PermafrostError
from permafrost.processes.program import Finished, Program, ProgramFailedError, SilenceError
from permafrost.processes.running import Running

_CHUNK_BYTES = 1 << 18  # pipes hold 64 KiB by default; PIPE_SIZE asks for this much


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
        self._running: list[Running] = []
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
            running = Running(program, stdin=stdin, stdout=stdout)
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
                    f"{names} produced no output for {self._silence_s:.0f} s",
                    hint="look for a lock that it waits for, or a network that drops packets",
                )
            chunk = os.read(descriptor, _CHUNK_BYTES)
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
        fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)
