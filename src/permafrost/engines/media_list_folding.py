"""Makes one part of a list's parts: what the last line of each row says (docs/format.md, 9.3), and no more.

So a list is whole again without the database's having to make a million lines again. The parts are compared with their
names. What the later ones say is held in memory, so they are folded only while they are small beside the first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import zstandard

from permafrost.errors import IntegrityError
from permafrost.repository.media_list import ListPart

_LEAST_BYTES = 1 << 20
_SHARE = 8
_CHUNK_BYTES = 1 << 20
PartFile = tuple[Path, ListPart]


def can_be_folded(parts: Sequence[ListPart]) -> bool:
    """Return whether the parts after the first are small enough: some 100 bytes of memory for each of their own."""
    return sum(part.size_bytes for part in parts[1:]) <= max(_LEAST_BYTES, parts[0].size_bytes // _SHARE)


def folded(files: Sequence[PartFile]) -> Iterator[bytes]:
    """Yield the lines of one part that says what the parts say in this order, in chunks.

    Raise `IntegrityError` if a part is not what its name says.
    """
    later: dict[bytes, bytes] = {}
    for file in files[1:]:
        for lines in _lines(file):
            later.update((line.partition(b"\t")[0], line) for line in lines)
    for lines in _lines(files[0]):
        yield _joined([line for line in lines if line.partition(b"\t")[0] not in later])
    yield _joined([line for row, line in later.items() if line != row])


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n" if lines else b""


def _lines(file: PartFile) -> Iterator[list[bytes]]:
    """Yield the lines of a part, many at a time."""
    path, part = file
    with path.open("rb") as reading:
        if (hashlib.file_digest(reading, "sha256").hexdigest(), os.fstat(reading.fileno()).st_size) != (
            part.name,
            part.size_bytes,
        ):
            raise IntegrityError(f"the part {path} of the media list is damaged")
        reading.seek(0)
        rest = b""
        try:
            with zstandard.ZstdDecompressor().stream_reader(reading) as decompressed:
                while chunk := decompressed.read(_CHUNK_BYTES):
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield lines
        except zstandard.ZstdError as error:
            raise IntegrityError(f"the part {path} of the media list cannot be read") from error
        if rest:
            raise IntegrityError(f"the part {path} of the media list ends within a line")
