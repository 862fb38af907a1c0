"""Row versions of one segment, and the difference between two scans of it. Pure; numpy arrays throughout.

A visible row version is named for its whole life by (relfilenode, ctid, xmin): PostgreSQL never changes one in
place. So two scans of the same file tell exactly which row versions are new and which are gone. Within a segment
a ctid is one number: (page - first page) << 16 | line pointer, at most 29 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Uint32 = npt.NDArray[np.uint32]
Pages = npt.NDArray[np.bool_]
"""Some of a segment's pages: a cell for each that it can have, `SEGMENT_PAGES` in all."""

SEGMENT_PAGES = 8192
"""Pages in a segment: 64 MiB with PostgreSQL's usual pages of 8 KiB."""

_OFFSET = np.uint32(0xFFFF)
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

    @property
    def columns(self) -> tuple[Uint32, ...]:
        """All columns, in the order of the fields."""
        return self.places, self.xmins


@dataclass(frozen=True, slots=True)
class KnownRows:
    """The row versions of a segment as the log knows them, with the line that each has in it; one uint32 each."""

    places: Uint32
    xmins: Uint32
    lines: Uint32

    def __len__(self) -> int:
        return len(self.places)

    @property
    def columns(self) -> tuple[Uint32, ...]:
        """All columns, in the order of the fields."""
        return self.places, self.xmins, self.lines

    def of(self, chosen: npt.NDArray[np.bool_]) -> KnownRows:
        """Return the chosen ones of these rows."""
        return KnownRows(*(column[chosen] for column in self.columns))

    def on(self, pages: Pages) -> KnownRows:
        """Return those of these rows that lie on these pages."""
        return self.of(pages[pages_of(self.places)])


Rows = TypeVar("Rows", RowVersions, KnownRows)
NO_ROWS = KnownRows(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint32))


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of a segment: rows that stayed (with their lines), the lines that are gone, the rows that are new."""

    stayed: KnownRows
    gone: Uint32
    """Line numbers, ascending."""
    new: RowVersions
    gone_places: Uint32
    """Where the gone rows were, ascending."""

    def __bool__(self) -> bool:
        return bool(len(self.gone) or len(self.new))


def merged(some: Rows, others: Rows) -> Rows:
    """Return both in order of place, as each is; no place is in both."""
    if not len(some) or not len(others):
        return some if len(some) else others
    at = np.searchsorted(some.places, others.places)
    return type(some)(*(np.insert(here, at, there) for here, there in zip(some.columns, others.columns, strict=True)))


def with_pages(rows: KnownRows, pages: Pages, there: KnownRows) -> KnownRows:
    """Return rows with what is `there` in place of all that lie on these pages.

    Pieces one after the other are put together sooner than every row is chosen by a mask.
    """
    if not pages.any():
        return rows
    edges = np.flatnonzero(np.diff(pages, prepend=False, append=False)).astype(np.uint32) << np.uint32(16)
    cuts, there_cuts = np.searchsorted(rows.places, edges).tolist(), np.searchsorted(there.places, edges).tolist()
    kept = [slice(*ends) for ends in zip([0, *cuts[1::2]], [*cuts[::2], len(rows)], strict=True)]
    put = [slice(*ends) for ends in zip(there_cuts[::2], there_cuts[1::2], strict=True)]

    def joined(column: Uint32, new: Uint32) -> Uint32:
        pieces = [column[kept[0]]]
        for before, after in zip(put, kept[1:], strict=True):
            pieces += (new[before], column[after])
        return np.concatenate(pieces)

    return KnownRows(*(joined(column, new) for column, new in zip(rows.columns, there.columns, strict=True)))


def decode_scan(raw: bytes, first_page: int) -> RowVersions:
    """Return the row versions in a scan's answer: 10 bytes a row, `tidsend(ctid) || xidsend(xmin)`, big-endian.

    tidsend gives block (4 bytes) and offset (2), xidsend 4 bytes (PostgreSQL's src/backend/utils/adt/tid.c, xid.c).
    The rows are sorted by place whatever order they came in. Raise `ValueError` if a row lies outside the segment.
    """
    records = np.frombuffer(raw, _RECORD)
    blocks = records["block"].astype(np.int64) - first_page
    if len(blocks) and (np.min(blocks) < 0 or np.max(blocks) >= SEGMENT_PAGES):
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
    """Return what happened between the log's last look and this one; both are in order of place.

    What both begin with and what both end with stayed; of most segments that is nearly all. The two cannot overlap
    unless all is the same, as no place is there twice.
    """
    begin = _common(known, seen, 1)
    end = _common(known, seen, -1)
    is_kept = np.ones(len(known), dtype=bool)
    is_known = np.ones(len(seen), dtype=bool)
    old, now = slice(begin, len(known) - end), slice(begin, len(seen) - end)
    is_kept[old], is_known[now] = _matched(
        RowVersions(known.places[old], known.xmins[old]), RowVersions(seen.places[now], seen.xmins[now])
    )
    stayed = known
    if not is_kept.all():
        stayed = known.of(is_kept)
    is_gone, is_new = ~is_kept, ~is_known
    return Difference(
        stayed=stayed,
        gone=np.sort(known.lines[is_gone]),
        new=RowVersions(seen.places[is_new], seen.xmins[is_new]),
        gone_places=known.places[is_gone],
    )


def _common(known: KnownRows, seen: RowVersions, step: int) -> int:
    """Return how many row versions both have in common from the beginning (step 1) or from the end (-1)."""
    count = min(len(known), len(seen))
    for a, b in ((known.places, seen.places), (known.xmins, seen.xmins)):
        differs = a[::step][:count] != b[::step][:count]
        if differs.any():
            count = int(differs.argmax())
    return count


def _matched(old: RowVersions, now: RowVersions) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which of the old row versions are there now, and which of those now were there before.

    By a table with a cell for each place from the first page to the last: reading and writing cells in order takes a
    third of the time of a binary search for each row. No row's xmin is 0, the empty cell (PostgreSQL's
    InvalidTransactionId). A page has at most 291 rows, so the table of a segment has at most 4 million cells.
    """
    if not len(old) or not len(now):
        return np.zeros(len(old), dtype=bool), np.zeros(len(now), dtype=bool)
    first_page = min(old.places[0], now.places[0]) >> np.uint32(16)
    bits = int(max(np.bitwise_and(rows.places, _OFFSET).max() for rows in (old, now))).bit_length()
    old_cells, now_cells = (_cells(rows.places, first_page, bits) for rows in (old, now))
    table = np.zeros(int(max(old_cells[-1], now_cells[-1])) + 1, np.uint32)
    table[old_cells] = old.xmins
    is_known = table[now_cells] == now.xmins
    table[old_cells] = 0
    table[now_cells] = now.xmins
    return table[old_cells] == old.xmins, is_known


def _cells(places: Uint32, first_page: np.uint32, bits: int) -> Uint32:
    pages = pages_of(places) - first_page
    cells: Uint32 = (pages << np.uint32(bits)) | (places & _OFFSET)
    return cells


def pages_of(places: Uint32) -> Uint32:
    """Return the page of each place, from the segment's first page on."""
    return places >> np.uint32(16)


def pages_among(*places: Uint32) -> Pages:
    """Return the pages that any of the places lie on."""
    pages = np.zeros(SEGMENT_PAGES, bool)
    for some in places:
        pages[pages_of(some)] = True
    return pages


def ctids_of(places: Uint32, first_page: int) -> list[str]:
    """Return the ctids of segment-relative places as PostgreSQL writes them: (page,offset)."""
    blocks = pages_of(places).astype(np.int64) + first_page
    offsets = places & _OFFSET
    return [f"({block},{offset})" for block, offset in zip(blocks.tolist(), offsets.tolist(), strict=True)]
