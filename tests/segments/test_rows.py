"""What two looks at a segment differ in, held against sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from permafrost.segments.packing import pack_rows, unpack_rows
from permafrost.segments.rows import SEGMENT_PAGES, KnownRows, RowVersions, compare

Named = dict[tuple[int, int], int]

PLACES = st.tuples(st.sampled_from([0, 1, 2, 3, 700, SEGMENT_PAGES - 1]), st.integers(1, 5) | st.just(291))
SEGMENTS = st.dictionaries(PLACES, st.sampled_from([1, 2, 3, 2**31, 2**32 - 1]), max_size=30)


def _arrays(rows: Named) -> RowVersions:
    ordered = sorted(rows)
    places = np.array([(page << 16) | offset for page, offset in ordered], np.uint32)
    return RowVersions(places, np.array([rows[place] for place in ordered], np.uint32))


def _known(rows: Named, lines: np.random.Generator) -> KnownRows:
    now = _arrays(rows)
    return KnownRows(now.places, now.xmins, lines.permutation(len(now)).astype(np.uint32) + np.uint32(9))


def _names(rows: RowVersions) -> set[tuple[int, int]]:
    return set(zip(rows.places.tolist(), rows.xmins.tolist(), strict=True))


@settings(max_examples=500, deadline=None)
@given(before=SEGMENTS, after=SEGMENTS, shared=SEGMENTS, seed=st.integers(0, 2**32 - 1))
def test_any_two_looks(before: Named, after: Named, shared: Named, seed: int) -> None:
    """Rows that stayed keep their lines, the others' lines are gone, and the rest is new."""
    known = _known({**before, **shared}, np.random.default_rng(seed))
    seen = _arrays({**after, **shared})
    line_of = dict(
        zip(zip(known.places.tolist(), known.xmins.tolist(), strict=True), known.lines.tolist(), strict=True)
    )
    found = compare(known, seen)
    stayed = line_of.keys() & _names(seen)
    told = zip(found.stayed.places.tolist(), found.stayed.xmins.tolist(), strict=True)
    assert dict(zip(told, found.stayed.lines.tolist(), strict=True)) == {name: line_of[name] for name in stayed}
    assert found.gone.tolist() == sorted(line_of[name] for name in line_of.keys() - stayed)
    assert _names(found.new) == _names(seen) - stayed
    for places in (found.stayed.places, found.new.places):
        assert bool(np.all(places[1:] > places[:-1]))
    assert bool(found) == (_names(RowVersions(known.places, known.xmins)) != _names(seen))


@settings(max_examples=200, deadline=None)
@given(rows=SEGMENTS, seed=st.integers(0, 2**32 - 1))
def test_packed_rows_come_back(rows: Named, seed: int) -> None:
    """What the state packs, it unpacks to the same rows, small and large numbers alike."""
    known = _known(rows, np.random.default_rng(seed))
    known.lines[::2] += np.uint32(2**31)
    back = unpack_rows(pack_rows(known))
    for one, other in ((known.places, back.places), (known.xmins, back.xmins), (known.lines, back.lines)):
        assert np.array_equal(one, other)
