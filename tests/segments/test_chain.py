"""Chains in a world without PostgreSQL: any history comes back right, chains stay short, bytes stay few."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from permafrost.segments import chain
from permafrost.segments.body import pack_body
from permafrost.segments.chain import (
    Element,
    NewBase,
    NewDelta,
    minute_of,
    outline_of,
    plan,
    rows_after_base,
    rows_after_delta,
)
from permafrost.segments.packing import (
    pack_chain,
    pack_rows,
    unpack_chain,
    unpack_outline,
    unpack_rows,
    with_objects_named,
)
from permafrost.segments.rows import NO_ROWS, Difference, KnownRows, RowVersions, Uint32, compare
from permafrost.state_files import DamagedStateError

HOURS_A_DAY = 24
NONE = np.empty(0, np.uint32)
ONE_NEW = Difference(
    KnownRows(np.arange(7, dtype=np.uint32), np.full(7, 9, np.uint32), np.arange(7, dtype=np.uint32)),
    NONE,
    RowVersions(np.array([99], np.uint32), np.array([9], np.uint32)),
    NO_ROWS.places,
)


class World:
    """A heap of row versions by place, and the log that follows it, hour by hour, with each element's lines."""

    def __init__(self) -> None:
        self.heap: dict[int, int] = {}
        self.next_xmin = 100
        self.chain: tuple[Element, ...] = ()
        self.rows: KnownRows = NO_ROWS
        self.texts: dict[str, list[str]] = {}
        self.lines_sent = 0
        self.hour = -1

    def put(self, place: int) -> None:
        """Put a new row version at a place, in place of what is there."""
        self.heap[place] = self.next_xmin
        self.next_xmin += 1

    def seen(self) -> RowVersions:
        """Return what a scan sees."""
        places = np.array(sorted(self.heap), dtype=np.uint32)
        return RowVersions(places, np.array([self.heap[place] for place in sorted(self.heap)], dtype=np.uint32))

    def run(self) -> None:
        """Bring the log up to date."""
        self.hour += 1
        seen = self.seen()
        difference = compare(self.rows, seen)
        if not difference:
            return
        name = f"object {len(self.texts)}"
        planned = plan(self.chain, difference, self.hour * 60)
        if isinstance(planned, NewBase):
            lines, gone = seen, np.empty(0, np.uint32)
            kept: tuple[Element, ...] = ()
            level, first = 0, 0
            self.rows = rows_after_base(seen)
        else:
            lines, gone, kept = planned.rows, planned.gone, planned.kept
            level, first = planned.level, planned.first_line
            self.rows = rows_after_delta(planned)
        self.texts[name] = [f"{place}:{xmin}" for place, xmin in zip(lines.places, lines.xmins, strict=True)]
        self.lines_sent += len(lines)
        size = sum(len(text) for text in self.texts[name]) + len(gone)
        element = Element(name, 0 if kept else None, level, first, len(lines), size, gone, self.hour * 60)
        self.chain = (*kept, element) if len(seen) or len(kept) else ()

    def restored(self) -> list[str]:
        """Return the rows that the chain gives: all lines in order less all gone, and nothing else."""
        texts = [text for element in self.chain for text in self.texts[element.object_name]]
        gone = {number for element in self.chain for number in element.gone.tolist()}
        return sorted(text for number, text in enumerate(texts) if number not in gone)

    def expected(self) -> list[str]:
        """Return the rows that are in the heap."""
        return sorted(f"{place}:{xmin}" for place, xmin in self.heap.items())


changes = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=6)


@settings(max_examples=300)
@given(st.integers(0, 60), st.lists(changes, max_size=40))
def test_any_history(start: int, history: list[list[tuple[bool, int]]]) -> None:
    """After every run of any history the chain gives exactly the heap's rows, with unbroken line numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "EPOCHS", (120, 240, 480, 960))  # so that deltas are merged early and often
        patch.setattr(chain, "WORTH_MERGING", 2)
        follow(start, history)


def follow(start: int, history: list[list[tuple[bool, int]]]) -> None:
    """Start with so many rows, put and remove rows at places, run after each round, and compare."""
    world = World()
    for place in range(start):
        world.put(place)
    for round_of_changes in [[], *history]:
        for is_put, place in round_of_changes:
            if is_put:
                world.put(place)
            else:
                world.heap.pop(place, None)
        world.run()
        assert world.restored() == world.expected()
        for before, after in zip(world.chain, world.chain[1:], strict=False):
            assert after.first_line == before.next_line
            assert not len(after.gone) or after.gone[-1] < after.first_line


def test_a_thousand_small_runs() -> None:
    """A thousand runs with one change each keep the chain short, and send a row about once a level."""
    world = World()
    for place in range(20_000):
        world.put(place)
    world.run()
    world.lines_sent = 0
    random.seed(4)
    longest = 0
    for number in range(1000):
        world.put(20_000 + number)
        world.run()
        longest = max(longest, len(world.chain))
    assert world.restored() == world.expected()
    assert longest <= 1 + 4 * HOURS_A_DAY
    assert world.lines_sent <= 1000 * 5


def test_merged_deltas_forget_what_came_and_went() -> None:
    """Rows born and gone between two merges are neither lines nor gone numbers of the delta that merges."""
    world = World()
    for place in range(5000):
        world.put(place)
    world.run()
    for number in range(HOURS_A_DAY - 1):
        world.put(10_000 + number % 2)  # the same two places again and again
        world.run()
    world.put(1)
    world.run()
    merged = world.chain[-1]
    assert (len(world.chain), merged.level) == (2, 2)
    assert (merged.lines, merged.gone.tolist()) == (3, [1])
    assert world.restored() == world.expected()


def test_a_segment_of_which_most_is_gone_starts_again() -> None:
    """A segment starts again once more of its lines are gone than are left, and not before."""
    world = World()
    for place in range(100):
        world.put(place)
    world.run()
    for place in range(49):
        del world.heap[place]
    world.run()
    assert len(world.chain) == 2
    for place in range(49, 51):
        del world.heap[place]
    world.run()
    assert [(one.lines, len(one.gone)) for one in world.chain] == [(49, 0)]


def test_a_segment_that_only_grows_is_never_sent_again() -> None:
    """Rows that only come are sent once, and once more a level: a growing table's last segment has no new bases."""
    world = World()
    world.put(0)
    world.run()
    for hour in range(HOURS_A_DAY + 6):
        for number in range(100):
            world.put(1 + hour * 100 + number)
        world.run()
    assert world.chain[0].lines == 1
    assert world.lines_sent <= 1 + 3000 * 3
    assert world.restored() == world.expected()


columns = st.lists(st.integers(0, 2**32 - 1), max_size=50)


@given(columns, st.data())
def test_rows_round_trip(places: list[int], data: st.DataObject) -> None:
    """Packed rows are unpacked as they were, whatever the numbers."""
    other = st.lists(st.integers(0, 2**32 - 1), min_size=len(places), max_size=len(places))

    def column(values: list[int]) -> Uint32:
        return np.array(values, dtype=np.uint32)

    rows = KnownRows(column(places), column(data.draw(other)), column(data.draw(other)))
    unpacked = unpack_rows(pack_rows(rows))
    for one, two in ((rows.places, unpacked.places), (rows.xmins, unpacked.xmins), (rows.lines, unpacked.lines)):
        assert one.tolist() == two.tolist()


def test_segments_merge_in_the_same_run() -> None:
    """Whether a segment changes in every run or in some, after an epoch nothing of it is named but the merged delta."""
    worlds = [World() for _ in range(3)]
    for world in worlds:
        for place in range(1000):
            world.put(place)
        world.run()
    for run in range(1, HOURS_A_DAY + 1):
        for every, world in zip((1, 3, 4), worlds, strict=True):
            if run % every == 0:  # the last run changes all of them
                world.put(2000 + run)
            world.run()
    assert [[element.minute // 60 for element in world.chain] for world in worlds] == [[0, HOURS_A_DAY]] * 2 + [
        [0, 4, 8, 12, 16, 20, 24]
    ]  # five are not worth it


def test_a_days_last_hour_merges_the_day() -> None:
    """With hourly runs the last of a day, in UTC, needs none of the day's fine deltas; within an hour minutes merge."""
    world = World()
    world.put(0)
    for minute in (0, 60):  # the base, and the day's first run
        world.hour, world.heap[minute] = minute_of(datetime(2026, 11, 22, minute // 60, 40, tzinfo=UTC)) // 60 - 1, 7
        world.run()
    for hour in range(2, 24):
        world.put(hour)
        world.run()
        assert len(world.chain) == (hour + 1 if hour < 23 else 2)
    world.put(99)
    world.run()
    assert [element.level for element in world.chain] == [0, 2, 0]


def test_minutes_merge_after_their_hour() -> None:
    """Runs every ten minutes merge when their hour is over, and when the clock was put back."""
    elements = tuple(Element("", 0, 0, number, 1, 9, NONE, 590 + 10 * number) for number in range(7))
    for minute, kept, level in ((655, 7, 0), (660, 1, 1), (3, 1, 1)):
        planned = plan(elements, ONE_NEW, minute)
        assert isinstance(planned, NewDelta)
        assert (len(planned.kept), planned.level) == (kept, level)


def test_a_segment_that_hardly_changes_is_not_sent_again_and_again() -> None:
    """A change an epoch costs a row now, and each row at most once a level later."""
    world = World()
    for place in range(1000):
        world.put(place)
    world.run()
    world.lines_sent = 0
    for run in range(1, 100 * HOURS_A_DAY):
        if run % HOURS_A_DAY == 7:
            world.put(2000 + run)
        world.run()
    assert world.restored() == world.expected()
    assert world.lines_sent <= 100 * 3
    assert len(world.chain) <= 30


GONE = st.sets(st.integers(0, 2**32 - 1))
FIELDS = ("object_name", "member", "level", "first_line", "lines", "size_bytes", "minute")


def elements_of(gone: list[set[int]], level: int, member: int | None, minute: int) -> tuple[Element, ...]:
    """Return a chain of elements that call these lines gone."""
    return tuple(
        Element(f"{number:064x}", member, level, 7, 3, 99, np.array(sorted(lines), dtype=np.uint32), minute)
        for number, lines in enumerate(gone)
    )


def assert_same(unpacked: tuple[Element, ...], elements: tuple[Element, ...]) -> None:
    """The elements are equal in every field."""
    assert [element.gone.tolist() for element in unpacked] == [element.gone.tolist() for element in elements]
    for name in FIELDS:
        assert [getattr(element, name) for element in unpacked] == [getattr(element, name) for element in elements]


@given(st.lists(GONE, max_size=4), st.integers(0, 9), st.none() | st.integers(0, 99), st.integers(0, 10**9))
def test_chain_round_trip(gone: list[set[int]], level: int, member: int | None, minute: int) -> None:
    """A packed chain is unpacked as it was, and so are its outline, and the chain once its objects have other names."""
    elements = elements_of(gone, level, member, minute)
    packed = pack_chain(elements)
    assert_same(unpack_chain(packed), elements)
    assert unpack_outline(packed) == outline_of(elements)
    names = {element.object_name: f"named {number}" for number, element in enumerate(elements) if number % 2 == 0}
    named = tuple(
        replace(element, object_name=names.get(element.object_name, element.object_name)) for element in elements
    )
    assert_same(unpack_chain(with_objects_named(packed, names)), named)


def test_chain_of_an_older_version() -> None:
    """A chain that has its gone lines in the header, as older versions wrote it, is read, and named, as well."""
    elements = elements_of([set(), {5, 9, 4_000_000_000}], 2, 1, 70)
    header = [
        {
            **dict(zip(("object", "member", "level", "first", "lines", "size", "minute"), fields, strict=True)),
            "gone": np.diff(element.gone, prepend=np.uint32(0)).tolist(),
        }
        for element in elements
        for fields in [[getattr(element, name) for name in FIELDS]]
    ]
    packed = zstandard.ZstdCompressor().compress(json.dumps(header).encode())
    assert_same(unpack_chain(packed), elements)
    assert unpack_outline(packed) == outline_of(elements)
    renamed = with_objects_named(packed, {"0" * 64: "named"})
    assert [element.object_name for element in unpack_chain(renamed)] == ["named", f"{1:064x}"]
    assert_same(unpack_chain(renamed)[1:], elements[1:])


def test_the_outline_of_a_long_history_is_cheap() -> None:
    """Gone lines are a small part of their four bytes, the outline does without them, and a damaged part is noticed."""
    lines = random.Random(1).sample(range(400_000), 100_000)
    elements = elements_of([set(lines[:70_000]), set(lines[70_000:])], 1, 1, 5)
    packed = pack_chain(elements)
    assert len(packed) < len(lines)
    assert unpack_outline(packed[: len(packed) // 2]) == outline_of(elements)
    with pytest.raises(DamagedStateError, match="the chain of a segment"):
        unpack_chain(packed[: len(packed) // 2])
    for position in range(0, len(packed), 997):
        flipped = bytearray(packed)
        flipped[position] ^= 1
        with pytest.raises(DamagedStateError):
            unpack_chain(bytes(flipped))


def test_ordinary_state_is_small() -> None:
    """A segment of ordinary rows takes a fifth of a byte a row, or less: places, xmins and lines mostly count up."""
    count = 400_000
    places = ((np.arange(count) // 50) << 16 | (np.arange(count) % 50 + 1)).astype(np.uint32)
    rows = KnownRows(places, np.full(count, 1000, np.uint32), np.arange(count, dtype=np.uint32))
    assert len(pack_body(rows)) < count / 5
