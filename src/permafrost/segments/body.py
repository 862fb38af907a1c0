"""A segment's rows as bytes that can be read in part: block by block of a few pages, each packed by itself.

What changes within an hour lies on a few pages of a segment, but all over it. So the blocks are small, and reading some
pages costs what lies in their blocks, not what the segment has (docs/decisions/0104).

A body is a magic, the pages of a block, how many blocks there are, the packed size of each, and the blocks, each with
zstd's checksum. Within a block, rows are packed as those of `pack_rows` are, beginning from 0 again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import zstandard

from permafrost.segments.packing import BYTES_PER_ROW, UNREADABLE, from_planes, to_planes
from permafrost.segments.rows import KnownRows, Pages, pages_of
from permafrost.state_files import DamagedStateError

BLOCK_PAGES = 16
"""Blocks of 8 pages save an hour little of its time, and have up to two fifths more bytes (bench/known_segment.py)."""
_MAGIC = b"bdy1"
_NUMBER = np.dtype("<u4")
_BLOCKS_AT_ONCE = 64  # a segment of the narrowest rows has 22 MB of them, which need not be there twice
_HEADER_BYTES = len(_MAGIC) + 2 * _NUMBER.itemsize
_LEVEL = 1  # of blocks so small, higher levels make nothing smaller


def pack_body(rows: KnownRows) -> bytes:
    """Return rows, which are in order of place, as bytes."""
    block_of = pages_of(rows.places) // np.uint32(BLOCK_PAGES)
    starts = np.flatnonzero(np.diff(block_of, prepend=np.uint32(0xFFFFFFFF)))
    sizes = np.zeros(int(block_of[-1]) + 1 if len(rows) else 0, _NUMBER)
    ends = np.append(starts[1:], len(rows))
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    blocks = []
    for first in range(0, len(starts), _BLOCKS_AT_ONCE):
        some, until = starts[first : first + _BLOCKS_AT_ONCE], ends[first : first + _BLOCKS_AT_ONCE]
        begin = int(some[0])
        planes = np.concatenate([to_planes(column[begin : until[-1]], some - begin) for column in rows.columns])
        for start, end in zip((some - begin).tolist(), (until - begin).tolist(), strict=True):
            blocks.append(compressor.compress(planes[:, start:end].tobytes()))
    sizes[block_of[starts]] = [len(block) for block in blocks]
    header = np.array([BLOCK_PAGES, len(sizes)], _NUMBER)
    return b"".join([_MAGIC, header.tobytes(), sizes.tobytes(), *blocks])


def unpack_body(packed: bytes, pages: Pages | None = None) -> KnownRows:
    """Return the rows that `pack_body` packed, or those on these pages; raise `DamagedStateError` if it did not."""
    try:
        block_pages, sizes = _header(packed)
        is_wanted = sizes > 0
        if pages is not None:
            is_asked_for = np.logical_or.reduceat(pages, np.arange(0, len(pages), block_pages))
            is_wanted &= is_asked_for[: len(sizes)]
        rows = _unpacked(packed, sizes, np.flatnonzero(is_wanted))
        return rows if pages is None else rows.on(pages)
    except UNREADABLE as error:
        raise DamagedStateError(f"rows of a segment: {error}") from error


def _header(packed: bytes) -> tuple[int, npt.NDArray[np.uint32]]:
    """Return how many pages a block has, and the packed sizes of all blocks."""
    if not packed.startswith(_MAGIC):
        raise ValueError("no rows were packed here")
    block_pages, count = np.frombuffer(packed, _NUMBER, 2, len(_MAGIC)).tolist()
    sizes = np.frombuffer(packed, _NUMBER, count, _HEADER_BYTES)
    if len(packed) != _HEADER_BYTES + sizes.nbytes + int(sizes.sum()):
        raise ValueError("its blocks are not as long as they should be")
    return block_pages, sizes


def _unpacked(packed: bytes, sizes: npt.NDArray[np.uint32], blocks: npt.NDArray[np.intp]) -> KnownRows:
    ends = np.cumsum(sizes, dtype=np.int64) + _HEADER_BYTES + sizes.nbytes
    whole = memoryview(packed)
    frames = [whole[end - size : end] for end, size in zip(ends[blocks].tolist(), sizes[blocks].tolist(), strict=True)]
    columns = np.empty((3, sum(map(zstandard.frame_content_size, frames)) // BYTES_PER_ROW), np.uint32)
    decompressor, filled = zstandard.ZstdDecompressor(), 0
    for first in range(0, len(frames), _BLOCKS_AT_ONCE):
        some = [
            np.frombuffer(decompressor.decompress(frame), np.uint8).reshape(BYTES_PER_ROW, -1)
            for frame in frames[first : first + _BLOCKS_AT_ONCE]
        ]
        planes = np.concatenate(some, axis=1)
        starts = np.cumsum([0, *(block.shape[1] for block in some[:-1])])
        end = filled + planes.shape[1]
        for number, column in enumerate(columns):
            column[filled:end] = from_planes(planes[4 * number : 4 * number + 4], starts)
        filled = end
    return KnownRows(*columns)
