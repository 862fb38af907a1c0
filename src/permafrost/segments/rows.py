"""Row versions of one segment, and what two looks at it differ in. Pure; numpy arrays throughout.

A visible row version is named for its whole life by (relfilenode, ctid, xmin): PostgreSQL never changes one in
place. So two scans of the same file tell exactly which row versions are new and which are gone. Within a segment
a ctid is one number: (page - first page) << 16 | line pointer, at most 29 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Uint32 = npt.NDArray[np.uint32]

SEGMENT_PAGES = 8192
"""Pages in a segment: 64 MiB with PostgreSQL's usual pages of 8 KiB."""

_RECORD = np.dtype([("block", ">u4"), ("offset", ">u2"), ("xmin", ">u4")])


@dataclass(frozen=True, slots=True)
class RowVersions:
    """The visible row versions of a segment, in order of `places`.

    `places` (segment-relative ctids) and `xmins` have one uint32 a row.
    """

    places: Uint32
    xmins: Uint32

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class KnownRows:
    """The row versions of a segment as the log knows them, with the line that each has in it; one uint32 each."""

    places: Uint32
    xmins: Uint32
    lines: Uint32

    def __len__(self) -> int:
        return len(self.places)


NO_ROWS = KnownRows(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint32))


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of a segment: rows that stayed (with their lines), the lines that are gone, the rows that are new."""

    stayed: KnownRows
    gone: Uint32
    """Line numbers, ascending."""
    new: RowVersions

    def __bool__(self) -> bool:
        return bool(len(self.gone) or len(self.new))


def decode_scan(raw: bytes, first_page: int) -> RowVersions:
    """Return the row versions in a scan's answer: 10 bytes a row, `tidsend(ctid) || xidsend(xmin)`, big-endian.

    tidsend gives block (4 bytes) and offset (2), xidsend 4 bytes (PostgreSQL's src/backend/utils/adt/tid.c, xid.c).
    The rows are sorted by place whatever order they came in. Raise `ValueError` if a row lies outside the segment.
    """
    records = np.frombuffer(raw, _RECORD)
    blocks = records["block"].astype(np.int64) - first_page
    if len(blocks) and (blocks.min() < 0 or blocks.max() >= SEGMENT_PAGES):
        raise ValueError("a row version lies outside its segment")
    places = (blocks.astype(np.uint32) << np.uint32(16)) | records["offset"].astype(np.uint32)
    xmins = records["xmin"].astype(np.uint32)
    if len(places) > 1 and not bool(np.all(places[1:] > places[:-1])):
        order = np.argsort(places, kind="stable")
        places, xmins = places[order], xmins[order]
    return RowVersions(places, xmins)


def join_scans(parts: list[RowVersions]) -> RowVersions:
    """Return the row versions of consecutive page ranges as one."""
    if len(parts) == 1:
        return parts[0]
    return RowVersions(
        np.concatenate([part.places for part in parts]) if parts else np.empty(0, np.uint32),
        np.concatenate([part.xmins for part in parts]) if parts else np.empty(0, np.uint32),
    )


def compare(known: KnownRows, seen: RowVersions) -> Difference:
    """Return what happened between the log's last look and this one; both are in order of place."""
    positions = np.searchsorted(known.places, seen.places)
    if len(known):
        np.minimum(positions, len(known) - 1, out=positions)  # a place past the last is another place than the last
        is_known = known.places[positions] == seen.places
        is_known &= known.xmins[positions] == seen.xmins
    else:
        is_known = np.zeros(len(seen), dtype=bool)
    kept = positions[is_known]
    is_gone = np.ones(len(known), dtype=bool)
    is_gone[kept] = False
    return Difference(
        stayed=KnownRows(known.places[kept], known.xmins[kept], known.lines[kept]),
        gone=np.sort(known.lines[is_gone]),
        new=RowVersions(seen.places[~is_known], seen.xmins[~is_known]),
    )


def ctids_of(places: Uint32, first_page: int) -> list[str]:
    """Return the ctids of segment-relative places as PostgreSQL writes them: (page,offset)."""
    blocks = (places >> np.uint32(16)).astype(np.int64) + first_page
    offsets = places & np.uint32(0xFFFF)
    return [f"({block},{offset})" for block, offset in zip(blocks.tolist(), offsets.tolist(), strict=True)]
