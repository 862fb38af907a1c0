"""What is known of a segment, changed again and again and read whole and in part, held against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from permafrost.segments import body, known_segment
from permafrost.segments.body import pack_body, unpack_body
from permafrost.segments.known_segment import KnownSegment
from permafrost.segments.rows import NO_ROWS, SEGMENT_PAGES, KnownRows, Pages, pages_among
from permafrost.state_files import DamagedStateError

ALL_PAGES = {0, 1, 2, 15, 16, 17, 700, 4095, 4096, SEGMENT_PAGES - 1}
PAGES = st.sampled_from(sorted(ALL_PAGES))
ROWS = st.dictionaries(
    st.tuples(PAGES, st.integers(1, 4) | st.just(291)),
    st.tuples(st.sampled_from([1, 2, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1)),
    max_size=40,
)

Named = dict[tuple[int, int], tuple[int, int]]


def arrays(rows: Named) -> KnownRows:
    """Return rows, by page and offset, as arrays."""
    ordered = sorted(rows)
    return KnownRows(
        np.array([(page << 16) | offset for page, offset in ordered], np.uint32),
        np.array([rows[place][0] for place in ordered], np.uint32),
        np.array([rows[place][1] for place in ordered], np.uint32),
    )


def named(rows: KnownRows) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return rows in their order, by page and offset."""
    return [
        ((place >> 16, place & 0xFFFF), (xmin, line))
        for place, xmin, line in zip(rows.places.tolist(), rows.xmins.tolist(), rows.lines.tolist(), strict=True)
    ]


def mask(pages: set[int]) -> Pages:
    """Return these pages."""
    return pages_among(np.array(sorted(pages), np.uint32) << np.uint32(16))


@settings(max_examples=300, deadline=None)
@given(
    first=ROWS,
    changes=st.lists(st.tuples(st.sets(PAGES, max_size=5), ROWS, st.sets(PAGES) | st.just(ALL_PAGES)), max_size=6),
    asked=st.sets(PAGES),
    largest=st.sampled_from([0.0, 0.25, 2.0]),
)
def test_any_changes(
    first: Named, changes: list[tuple[set[int], Named, set[int]]], asked: set[int], largest: float
) -> None:
    """After any changes of pages, folded or not, all rows and those of any pages are what was set last."""
    expected, known = dict(first), KnownSegment.of((), b"", arrays(first))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(known_segment, "LARGEST_PATCH", largest)
        for pages, rows, seen in changes:
            there = {place: row for place, row in rows.items() if place[0] in pages}
            expected = {**{place: row for place, row in expected.items() if place[0] not in pages}, **there}
            looked_at = {place: row for place, row in expected.items() if place[0] in pages | seen}
            known = known.continued((), b"", mask(pages), arrays(looked_at), len(expected) - len(looked_at))
            assert named(known.rows()) == sorted(expected.items())
            wanted = sorted((place, row) for place, row in expected.items() if place[0] in asked)
            assert named(known.rows_on(mask(asked))) == wanted


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, asked=st.sets(PAGES), block_pages=st.sampled_from([1, 3, 16, 10000]))
def test_a_body_is_read_in_part(rows: Named, asked: set[int], block_pages: int) -> None:
    """Whatever size its blocks had when it was packed, a body gives all its rows, and those of some pages."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(body, "BLOCK_PAGES", block_pages)
        packed = pack_body(arrays(rows))
    assert named(unpack_body(packed)) == sorted(rows.items())
    wanted = sorted((place, row) for place, row in rows.items() if place[0] in asked)
    assert named(unpack_body(packed, mask(asked))) == wanted


def test_a_damaged_body_is_no_rows() -> None:
    """A flipped bit, a missing or an added byte are damage; never other rows."""
    rows = arrays({(page, offset): (700 + page, page * 9 + offset) for page in range(0, 90, 7) for offset in (1, 2, 9)})
    packed = pack_body(rows)
    changed = [packed[:-1], packed + b"x", packed[:7], b"", packed[1:]]
    for position in range(len(packed)):
        flipped = bytearray(packed)
        flipped[position] ^= 1
        changed.append(bytes(flipped))
    found = 0
    for one in changed:
        try:
            assert named(unpack_body(one)) == named(rows)
        except DamagedStateError:
            found += 1
    assert found == len(changed) - 4  # all but how many pages a block has


def test_lost_rows_are_damage() -> None:
    """Rows of another number than the segment had are not believed."""
    known = KnownSegment.of((), b"", arrays({(1, 1): (5, 0)})).continued((), b"", mask({7}), NO_ROWS, 2)
    with pytest.raises(DamagedStateError, match="a segment of 2 rows has 1"):
        known.rows()
