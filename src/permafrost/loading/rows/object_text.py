"""An object's content as a stream: unsealed by gpg, decompressed here, never in a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import zstandard

from permafrost.errors import IntegrityError
from permafrost.loading.opened_snapshot import OpenedSnapshot

READ_BYTES = 1 << 20


@contextmanager
def object_text(snapshot: OpenedSnapshot, index: int) -> Iterator[IO[bytes]]:
    """Yield what the object at `index` holds; after the block it is known to have been one whole message.

    Raise `IntegrityError` if its bytes are not what its name says, or its compressed data is damaged.
    """
    with snapshot.unsealed(index) as pipeline:
        raw = io.BufferedReader(_Chunks(pipeline.chunks()), READ_BYTES)
        try:
            yield io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw), READ_BYTES)
            while raw.read(READ_BYTES):
                pass  # what zstd did not need; gpg has to come to its end to be judged
        except zstandard.ZstdError as error:
            raise IntegrityError(f"an object's compressed data is damaged: {error}") from error


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # what io calls it with
        """Fill the buffer with what there is."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
