"""python -m bench.known_segment: what it costs to keep what is known of one segment, by how many pages a block has.

A segment of 8,192 pages with 43 rows each, once as if loaded by one transaction, once as if each row had its own. Each
hour 90 pages are looked at, on which a few rows came and went; a day of hours follows. An hour is reading the rows on
those pages, comparing, and packing what is known afterwards; it is compared with unpacking and packing all rows as one
value, as version 1 of the state did. Milliseconds, the median of the day's hours. Nothing is written into docs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from unittest.mock import patch

import numpy as np

from permafrost.segments import body
from permafrost.segments.body import pack_body
from permafrost.segments.chain import NewDelta, rows_after_delta
from permafrost.segments.changed_pages import ChangedPages
from permafrost.segments.known_segment import KnownSegment
from permafrost.segments.packing import pack_rows, unpack_rows
from permafrost.segments.rows import SEGMENT_PAGES, KnownRows, RowVersions, pages_among

_ROWS_A_PAGE, _PAGES_AN_HOUR, _HOURS = 43, 90, 24
_KEPT, _GONE, _UPDATED = 0.97, 0.02, 0.02
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one kind of rows and one size of blocks: bytes of the body, and milliseconds."""

    body_bytes: int
    hour_ms: float
    whole_hour_ms: float
    fold_ms: float


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.known_segment", description=__doc__)
    parser.add_argument("--block-pages", default="8,16,32", metavar="N,N,...", help="default 8,16,32")
    asked = parser.parse_args()
    print("rows            block pages  body        an hour  an hour read whole  a new body")
    for kind, is_one in (("one transaction", True), ("each its own", False)):
        rows = _segment(is_one_transaction=is_one)
        for pages in map(int, asked.block_pages.split(",")):
            with patch.object(body, "BLOCK_PAGES", pages):
                costs = _measure(rows)
            print(
                f"{kind:15} {pages:11}  {costs.body_bytes:7,} B  {costs.hour_ms:5.1f} ms"
                f"  {costs.whole_hour_ms:15.1f} ms  {costs.fold_ms:7.1f} ms"
            )
        print(f"{kind:15}   one value  {len(pack_rows(rows)):7,} B                    {_one_value_ms(rows):5.1f} ms")
    return 0


def _segment(*, is_one_transaction: bool) -> KnownRows:
    random = np.random.default_rng(1)
    pages = np.repeat(np.arange(SEGMENT_PAGES, dtype=np.uint32), _ROWS_A_PAGE)
    places = (pages << np.uint32(16)) | np.tile(np.arange(1, _ROWS_A_PAGE + 1, dtype=np.uint32), SEGMENT_PAGES)
    steps = np.zeros(len(places), np.uint32) if is_one_transaction else random.integers(1, 200, len(places))
    rows = KnownRows(places, (800 + np.cumsum(steps)).astype(np.uint32), np.arange(len(places), dtype=np.uint32))
    return rows.of(random.random(len(places)) < _KEPT)


def _one_value_ms(rows: KnownRows) -> float:
    packed = pack_rows(rows)
    return statistics.median(_timed(lambda: pack_rows(unpack_rows(packed)))[0] for _ in range(_HOURS))


def _measure(rows: KnownRows) -> Costs:
    known = KnownSegment.of((), b"", rows)
    random = np.random.default_rng(2)
    hours_ms: list[float] = []
    wholes_ms: list[float] = []
    folds_ms: list[float] = []
    for hour in range(_HOURS):
        is_changed = np.zeros(SEGMENT_PAGES, bool)
        is_changed[random.integers(0, SEGMENT_PAGES, _PAGES_AN_HOUR)] = True
        an_hour = _Hour(
            known, ChangedPages(is_changed, 0, SEGMENT_PAGES), _seen(known.rows_on(is_changed), hour, random)
        )
        took_ms, known = _timed(an_hour.read_in_part)
        (hours_ms if known.packed_patch else folds_ms).append(took_ms)
        wholes_ms.append(_timed(an_hour.read_whole)[0])
    return Costs(
        len(pack_body(rows)),
        statistics.median(hours_ms),
        statistics.median(wholes_ms),
        statistics.median(folds_ms) if folds_ms else float("nan"),
    )


@dataclass(frozen=True, slots=True)
class _Hour:
    """What is known of a segment, the pages that have changed since, and the rows that are on them now."""

    known: KnownSegment
    changed: ChangedPages
    seen: RowVersions

    def read_in_part(self) -> KnownSegment:
        return self._after(self.known.rows_on(self.changed.read_pages()))

    def read_whole(self) -> KnownSegment:
        return self._after(self.known.rows())

    def _after(self, there: KnownRows) -> KnownSegment:
        difference = self.changed.compare(there, self.seen)
        delta = NewDelta((), 0, 1_000_000, difference.gone, difference.new, difference.stayed)
        pages = pages_among(difference.gone_places, difference.new.places)
        return self.known.continued((), b"", pages, rows_after_delta(delta), self.known.row_count - len(there))


def _seen(there: KnownRows, hour: int, random: np.random.Generator) -> RowVersions:
    """Return what a scan finds: some rows went, and of some others there is a new version at the same place."""
    stays = random.random(len(there)) >= _GONE
    xmins = np.where(random.random(len(there)) < _UPDATED, np.uint32(4_000_000_000 + hour), there.xmins)
    return RowVersions(there.places[stays], xmins[stays])


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1000, result


if __name__ == "__main__":
    sys.exit(main())
