"""Reads a sealed media store with the key: the catalog's lines, and the bytes in its packs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import IntegrityError
from permafrost.openpgp.sealing import OpeningKey, explain_opening, open_program
from permafrost.processes.pipeline import Pipeline
from permafrost.processes.program import Program
from permafrost.repository.layout import Layout
from permafrost.repository.media_list import lines_of
from permafrost.repository.objects import StoredObject, open_object
from permafrost.sealed_media.lines import SealedFile, parse_line

_UNZSTD = Program(("zstd", "-d", "-q", "-c"))
_SILENCE_S = 300.0


class PackStream:
    """What a pack holds, read once from its beginning to its end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._place = 0

    def read_at(self, offset: int, size_bytes: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on, which is not before what was read last; fewer where the pack ends."""
        for _ in self._taken(offset - self._place):
            pass
        yield from self._taken(size_bytes)

    def _taken(self, size_bytes: int) -> Iterator[bytes]:
        left = size_bytes
        while left > 0:
            self._rest = self._rest or next(self._chunks, b"")
            if not self._rest:
                return
            taken, self._rest = self._rest[:left], self._rest[left:]
            left -= len(taken)
            self._place += len(taken)
            yield taken

    def drain(self) -> None:
        """Read the rest, so that gpg comes to the end of the message, and can judge it."""
        self._rest = b""
        for _ in self._chunks:
            pass


@dataclass(frozen=True, slots=True)
class StoreReader:
    """Opens objects of a store; `home` is the GnuPG home that holds the key, if it is a secret key."""

    layout: Layout
    key: OpeningKey
    home: Path

    def catalog_lines(self, stored: StoredObject) -> Iterator[SealedFile | bytes]:
        """Yield what the lines of a segment of the catalog say.

        Raise `IntegrityError` if the object is missing or damaged, `KeyFileError` if the key does not open it.
        """
        with (
            open_object(self.layout, stored) as descriptor,
            Pipeline([open_program(self.key, self.home), _UNZSTD], source=descriptor, silence_s=_SILENCE_S) as pipeline,
        ):
            for line in lines_of(pipeline.chunks()):
                yield parse_line(line)
            pipeline.finish(explain_opening)

    @contextmanager
    def pack(self, name: str) -> Iterator[PackStream]:
        """Yield what the pack holds; after the block it has been read to its end, and found whole.

        Raise `IntegrityError` if it is missing or damaged, `KeyFileError` if the key does not open it.
        """
        with (
            open_object(self.layout, self._stored(name)) as descriptor,
            Pipeline([open_program(self.key, self.home)], source=descriptor, silence_s=_SILENCE_S) as pipeline,
        ):
            stream = PackStream(pipeline.chunks())
            yield stream
            stream.drain()
            pipeline.finish(explain_opening)

    def _stored(self, name: str) -> StoredObject:
        try:
            return StoredObject(name, self.layout.object(name).lstat().st_size)
        except OSError as error:
            raise IntegrityError(
                f"the object {name} cannot be read: {error.strerror}", hint="copy it from another vault"
            ) from error
