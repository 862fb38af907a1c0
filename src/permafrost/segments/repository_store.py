"""Bases and the run's delta object as sealed objects of a repository."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import zstandard

from permafrost.openpgp.sealing import Sealing
from permafrost.repository.layout import Layout
from permafrost.repository.objects import StoredObject
from permafrost.repository.sealed import compressed, put_sealed
from permafrost.segments.delta_file import DeltaWriter
from permafrost.segments.rows import Uint32
from permafrost.segments.worker import THIS_RUNS_DELTA
from permafrost.timing import WorkTimes

_READ_BYTES = 1 << 18
_BASE = zstandard.ZstdCompressionParameters.from_level(3, min_match=6)
"""COPY text is full of ids and times whose first digits are alike: matches of five bytes, level 3's shortest, are not
worth their place. A hundredth smaller at the same cost; any zstd reads it (docs/decisions/0072)."""
_DELTA = zstandard.ZstdCompressionParameters.from_level(9)
"""An hour's delta is small, and is kept and sent as often as there are hours: a tenth smaller for 30 ms more."""


class AbandonedError(Exception):
    """The run was given up; the delta object under way must not appear."""


class _Reading:
    """Passes a base's text on, and tells when no more of it will be read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.is_over = threading.Event()
        self.is_whole = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
            self.is_whole = True
        finally:
            self.is_over.set()


class RepositoryStore:
    """Stores for one run; a `SegmentStore`. What it stores has its real name once the run is over (`finish`).

    A base is put by a thread of its own, so that its reader can go on to the next segment while gpg ends and the disk
    writes and gives back what it got: some 3% of a first run. The delta object is made on first use: its tar goes
    through a pipe to a thread that compresses and seals it.
    """

    def __init__(self, layout: Layout, home: Path, sealing: Sealing, times: WorkTimes, jobs: int) -> None:
        self._layout, self._home, self._sealing, self._times = layout, home, sealing, times
        self._putters = ThreadPoolExecutor(2 * jobs)  # for each reader a base that it reads, and the one before
        self._bases: dict[str, Future[StoredObject]] = {}
        self._lock = threading.Lock()
        self._writer: DeltaWriter | None = None
        self._pipe: IO[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._is_abandoned = False
        self._delta: StoredObject | None = None
        self._error: BaseException | None = None

    def put_base(self, chunks: Iterable[bytes]) -> str:
        """Return once all of a base is read; it becomes an object of its own, which `finish` names.

        Raise also what befell an earlier base after its reading, so that a run does not read on in vain.
        """
        with self._lock:
            ended = [future for future in self._bases.values() if future.done()]
        for future in ended:
            future.result()
        reading = _Reading(chunks)
        future = self._putters.submit(self._sealed, iter(reading), _BASE)
        future.add_done_callback(lambda _: reading.is_over.set())
        with self._lock:
            name = f"base {len(self._bases)}"
            self._bases[name] = future
        reading.is_over.wait()
        if not reading.is_whole:
            future.result()
        return name

    def add_delta(self, gone: Uint32, chunks: Iterable[bytes]) -> tuple[int, int]:
        """Add a change to the delta object; return its member number and its text's bytes."""
        with self._lock:
            if self._writer is None:
                self._writer = self._start()
        try:
            return self._writer.add(gone, chunks)
        except BrokenPipeError:
            self._join()
            raise self._error or AbandonedError from None

    def finish(self) -> Mapping[str, StoredObject]:
        """Return all that was stored, once it is durable, by the name that it had until now.

        The delta object's is `THIS_RUNS_DELTA`; there is none if nothing was added to it.
        """
        stored = {name: future.result() for name, future in self._bases.items()}
        self._putters.shutdown()
        delta = self._finish_delta()
        return stored if delta is None else {**stored, THIS_RUNS_DELTA: delta}

    def _finish_delta(self) -> StoredObject | None:
        if self._writer is None or self._pipe is None:
            return None
        try:
            self._writer.close()
            self._pipe.close()
        except BrokenPipeError:
            pass  # the thread's own error is the cause
        self._join()
        if self._error is not None:
            raise self._error
        return self._delta

    def abandon(self) -> None:
        """Give the delta object up; it does not appear. Bases that are under way do, or fail."""
        self._putters.shutdown(cancel_futures=True)
        self._is_abandoned = True
        if self._writer is not None:
            self._writer.abandon()
        if self._pipe is not None and not self._pipe.closed:
            self._pipe.close()
        self._join()

    def _start(self) -> DeltaWriter:
        read_end, write_end = os.pipe()
        self._pipe = os.fdopen(write_end, "wb", buffering=0)
        self._thread = threading.Thread(target=self._put, args=(read_end,), daemon=True)
        self._thread.start()
        return DeltaWriter(self._pipe)

    def _put(self, read_end: int) -> None:
        try:
            self._delta = self._sealed(self._from_pipe(read_end), _DELTA)
        except BaseException as error:  # noqa: BLE001 - raised again where the run is
            self._error = error
        finally:
            os.close(read_end)

    def _sealed(self, chunks: Iterable[bytes], parameters: zstandard.ZstdCompressionParameters) -> StoredObject:
        source = compressed(chunks, parameters, self._times)
        return put_sealed(self._layout, self._home, self._sealing, source=source, times=self._times)

    def _from_pipe(self, read_end: int) -> Iterator[bytes]:
        while chunk := os.read(read_end, _READ_BYTES):
            yield chunk
        if self._is_abandoned:
            raise AbandonedError

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
