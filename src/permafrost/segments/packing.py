"""What the log knows about a segment as bytes, small, and read only as far as it is needed.

Rows and gone lines mostly go up by one, so they are packed as differences of neighbours, in planes of equal
significance, and most bytes are the same. A chain is a short header, which a manifest is made of, and the gone lines,
which only its next change needs: a server's chains may hold tens of millions of them. Everything has zstd's checksum: a
flipped bit must not become other rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from permafrost.segments.chain import Chain, Element, ElementOutline, Outline
from permafrost.segments.rows import NO_ROWS, SEGMENT_PAGES, KnownRows, Pages, Uint32, pages_among
from permafrost.state_files import DamagedStateError

BYTES_PER_ROW = 12
"""Of packed rows, before they are compressed."""
_LEVEL = 3
_MAGIC = b"chn2"
_LENGTH_BYTES = 4
UNREADABLE = (zstandard.ZstdError, ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)


def pack_rows(rows: KnownRows) -> bytes:
    """Return rows as bytes, small: differences of neighbours, in planes of equal significance, compressed by zstd.

    Places and lines mostly go up by one and xmins are mostly the neighbour's, so most bytes are the same. With zstd's
    checksum: a flipped bit must not become other rows.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj(size=BYTES_PER_ROW * len(rows))
    packed = [compressor.compress(to_planes(column).tobytes()) for column in rows.columns]
    return b"".join([*packed, compressor.flush()])


def to_planes(column: Uint32, starts: npt.NDArray[np.intp] | None = None) -> npt.NDArray[np.uint8]:
    """Return the four bytes of each difference to the number before, modulo 2^32, the lowest of all first: (4, n).

    At `starts` the number itself takes the place of the difference.
    """
    differences = np.diff(column, prepend=np.uint32(0))
    if starts is not None:
        differences[starts] = column[starts]
    planes = np.empty((4, len(column)), np.uint8)
    bytes_of_each = differences.astype("<u4", copy=False).view(np.uint8).reshape(-1, 4)
    for number, plane in enumerate(planes):
        plane[:] = bytes_of_each[:, number]
    return planes


def unpack_rows(packed: bytes) -> KnownRows:
    """Return the rows that `pack_rows` packed; raise `DamagedStateError` if it has packed something else."""
    try:
        size = zstandard.frame_content_size(packed) // 3
        if not size:
            return NO_ROWS
        unpacked = np.frombuffer(zstandard.ZstdDecompressor().decompress(packed), np.uint8)
        places, xmins, lines = (from_planes(planes) for planes in unpacked.reshape(3, 4, size // 4))
    except (zstandard.ZstdError, ValueError) as error:
        raise DamagedStateError(f"rows of a segment: {error}") from error
    return KnownRows(places, xmins, lines)


def from_planes(planes: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp] | None = None) -> Uint32:
    """Return the column of which `to_planes` made these, with the same starts; most planes are nothing but zeros."""
    differences = np.zeros(planes.shape[1], np.uint32)
    for number, plane in enumerate(planes):
        if plane.any():
            differences |= plane.astype(np.uint32) << np.uint32(8 * number)
    if starts is not None:  # the sum of a block's differences is its last number, as it begins with a number itself
        differences[starts[1:]] -= np.add.reduceat(differences, starts, dtype=np.uint32)[:-1]
    return np.cumsum(differences, out=differences)


def pack_patch(pages: Pages, rows: KnownRows) -> bytes:
    """Return as bytes which pages a patch is of, and the rows on them."""
    packed = _compressed(np.packbits(pages).tobytes())
    return b"".join((len(packed).to_bytes(_LENGTH_BYTES, "big"), packed, pack_rows(rows)))


def unpack_patch(packed: bytes) -> tuple[Pages, KnownRows]:
    """Return the pages and the rows that `pack_patch` packed; raise `DamagedStateError` if it packed something else.

    b"" is the patch of no page.
    """
    if not packed:
        return pages_among(), NO_ROWS
    end = _LENGTH_BYTES + int.from_bytes(packed[:_LENGTH_BYTES], "big")
    try:
        bits = np.frombuffer(_decompressed(packed[_LENGTH_BYTES:end]), np.uint8)
        pages = np.unpackbits(bits, count=SEGMENT_PAGES).astype(bool)
    except UNREADABLE as error:
        raise DamagedStateError(f"changed pages of a segment: {error}") from error
    return pages, unpack_rows(packed[end:])


def pack_chain(chain: Chain) -> bytes:
    """Return a chain as bytes: magic, the header's length, the header, and the gone lines of all elements."""
    header = [
        {
            "object": element.object_name,
            "member": element.member,
            "level": element.level,
            "first": element.first_line,
            "lines": element.lines,
            "size": element.size_bytes,
            "gone": len(element.gone),
            "minute": element.minute,
        }
        for element in chain
    ]
    differences = [to_planes(element.gone).tobytes() for element in chain if len(element.gone)]
    return _joined(header, _compressed(b"".join(differences)))


def unpack_chain(packed: bytes) -> Chain:
    """Return the chain that `pack_chain` packed; raise `DamagedStateError` if it has packed something else."""
    try:
        header, rest = _parted(packed)
        planes = np.frombuffer(_decompressed(rest), np.uint8) if rest else np.empty(0, np.uint8)
        elements, at = [], 0
        for fields in header:
            if isinstance(fields["gone"], list):  # as versions before this form wrote it
                gone = np.cumsum(np.array(fields["gone"], dtype=np.uint32), dtype=np.uint32)
            else:
                end = at + 4 * fields["gone"]
                gone = from_planes(planes[at:end].reshape(4, fields["gone"]))
                at = end
            elements.append(
                Element(
                    object_name=fields["object"],
                    member=fields["member"],
                    level=fields["level"],
                    first_line=fields["first"],
                    lines=fields["lines"],
                    size_bytes=fields["size"],
                    gone=gone,
                    minute=fields.get("minute", 0),
                )
            )
        if at != len(planes):
            raise ValueError("gone lines that belong to no element")
    except UNREADABLE as error:
        raise DamagedStateError(f"the chain of a segment: {error}") from error
    return tuple(elements)


def unpack_outline(packed: bytes) -> Outline:
    """Return the outline of the chain that `pack_chain` packed; its gone lines are left as they are."""
    try:
        header, _ = _parted(packed)
        return tuple(ElementOutline(fields["object"], fields["member"], fields["lines"]) for fields in header)
    except UNREADABLE as error:
        raise DamagedStateError(f"the chain of a segment: {error}") from error


def with_objects_named(packed: bytes, name_of: Mapping[str, str]) -> bytes:
    """Return the packed chain with other names of its objects, for those that `name_of` names."""
    header, rest = _parted(packed)
    return _joined([{**fields, "object": name_of.get(fields["object"], fields["object"])} for fields in header], rest)


def _joined(header: list[dict[str, Any]], rest: bytes) -> bytes:
    packed = _compressed(json.dumps(header).encode())
    return b"".join((_MAGIC, len(packed).to_bytes(_LENGTH_BYTES, "big"), packed, rest))


def _parted(packed: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """Return header and packed gone lines; older versions have them in the header."""
    if not packed.startswith(_MAGIC):
        return json.loads(_decompressed(packed)), b""
    start = len(_MAGIC) + _LENGTH_BYTES
    end = start + int.from_bytes(packed[len(_MAGIC) : start], "big")
    return json.loads(_decompressed(packed[start:end])), packed[end:]


def _compressed(content: bytes) -> bytes:
    """Return the content compressed; b"" if it is empty."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content) if content else b""


def _decompressed(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(packed)
