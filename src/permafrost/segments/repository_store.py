"""Bases and the run's delta object as sealed objects of a repository."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from permafrost.openpgp.sealing import Sealing
from permafrost.repository.layout import Layout
from permafrost.repository.objects import StoredObject
from permafrost.repository.sealed import compressed, put_sealed
from permafrost.segments.delta_file import DeltaWriter
from permafrost.segments.rows import Uint32
from permafrost.timing import WorkTimes

_READ_BYTES = 1 << 18
_BASE_LEVEL = 3
_DELTA_LEVEL = 9
"""An hour's delta is small, and is kept and sent as often as there are hours: a tenth smaller for 30 ms more."""


class AbandonedError(Exception):
    """The run was given up; the delta object under way must not appear."""


class RepositoryStore:
    """Stores for one run; a `SegmentStore`. Bases are put by the threads that read them.

    The delta object is made on first use: its tar goes through a pipe to a thread that compresses and seals it.
    """

    def __init__(self, layout: Layout, home: Path, sealing: Sealing, times: WorkTimes) -> None:
        self._layout, self._home, self._sealing, self._times = layout, home, sealing, times
        self._lock = threading.Lock()
        self._writer: DeltaWriter | None = None
        self._pipe: IO[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._is_abandoned = False
        self._delta: StoredObject | None = None
        self._error: BaseException | None = None
        self.bases: list[StoredObject] = []

    def put_base(self, chunks: Iterable[bytes]) -> str:
        """Store a base as an object of its own; return its name."""
        stored = self._sealed(chunks, _BASE_LEVEL)
        with self._lock:
            self.bases.append(stored)
        return stored.name

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

    def finish(self) -> StoredObject | None:
        """Return the delta object once it is durable, None if nothing was added to it."""
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
        """Give the delta object up; it does not appear."""
        self._is_abandoned = True
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
            self._delta = self._sealed(self._from_pipe(read_end), _DELTA_LEVEL)
        except BaseException as error:  # noqa: BLE001 - raised again where the run is
            self._error = error
        finally:
            os.close(read_end)

    def _sealed(self, chunks: Iterable[bytes], level: int) -> StoredObject:
        source = compressed(chunks, level, self._times)
        return put_sealed(self._layout, self._home, self._sealing, source=source, times=self._times)

    def _from_pipe(self, read_end: int) -> Iterator[bytes]:
        while chunk := os.read(read_end, _READ_BYTES):
            yield chunk
        if self._is_abandoned:
            raise AbandonedError

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
