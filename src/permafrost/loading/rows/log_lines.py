"""The surviving lines of the log's objects: the lines of a base or a delta, minus those that later deltas say are gone.

The order of rows in a table means nothing, so every object is read where it lies: first the gone lines out of all
delta objects, which are few; then each base, and each delta object once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from threading import Lock

import numpy as np

from permafrost.errors import IntegrityError
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.log_map import ElementPlace, log_map
from permafrost.loading.rows.object_text import READ_BYTES, object_text
from permafrost.repository.manifest import Table
from permafrost.segments.delta_file import read_delta
from permafrost.segments.lines import LineFilter, parse_gone, surviving_lines
from permafrost.segments.rows import Uint32

_GONE_BYTES = 64 << 20
"""A segment has at most 2.4 million rows, and starts again when more of its lines are gone than are left."""

SegmentKey = tuple[int, int]


class GoneLines:
    """The numbers of each segment's gone lines, out of all its deltas."""

    def __init__(self) -> None:
        self._found: dict[SegmentKey, list[Uint32]] = defaultdict(list)
        self._merged: dict[SegmentKey, Uint32] = {}
        self._lock = Lock()

    def add(self, found: Iterable[tuple[SegmentKey, Uint32]]) -> None:
        """Take what one delta object names; several threads may do so at a time."""
        for segment, numbers in found:
            with self._lock:
                self._found[segment].append(numbers)

    def merge(self) -> None:
        """Make `of` know everything that was added."""
        self._merged = {segment: np.unique(np.concatenate(parts)) for segment, parts in self._found.items()}

    def of(self, place: ElementPlace) -> Uint32:
        """Return the gone lines of the place's segment, ascending."""
        return self._merged.get(place.segment, _NONE)


_NONE: Uint32 = np.empty(0, np.uint32)


def gone_lines(
    snapshot: OpenedSnapshot, index: int, members: Mapping[int, ElementPlace]
) -> Iterator[tuple[SegmentKey, Uint32]]:
    """Yield segment and gone lines of each of the `members` of one delta object."""
    with object_text(snapshot, index) as text:
        for part in read_delta(text):
            place = members.get(part.member)
            if part.kind != "gone" or place is None:
                continue
            if part.size_bytes > _GONE_BYTES:
                raise IntegrityError("a delta names more gone lines than a segment can have")
            yield place.segment, parse_gone(b"".join(part.chunks), place.first_line)


def base_lines(
    snapshot: OpenedSnapshot, index: int, place: ElementPlace, gone: GoneLines
) -> Generator[bytes, None, None]:
    """Yield the surviving lines of one base, in pieces of any size."""
    with object_text(snapshot, index) as text:
        chunks = iter(lambda: text.read(READ_BYTES), b"")
        yield from surviving_lines(chunks, place.first_line, place.lines, gone.of(place))


def delta_lines(
    snapshot: OpenedSnapshot, index: int, members: Mapping[int, ElementPlace], gone: GoneLines
) -> Generator[tuple[ElementPlace, Iterator[bytes]], None, None]:
    """Yield the place of each of the `members` of one delta object, and its surviving lines, which must be taken."""
    filters = {number: LineFilter(place.first_line, place.lines, gone.of(place)) for number, place in members.items()}
    with object_text(snapshot, index) as text:
        for part in read_delta(text):
            if part.kind == "new" and part.member in filters:
                yield members[part.member], _kept(part.chunks, filters[part.member])
    for line_filter in filters.values():
        line_filter.finish()


def _kept(chunks: Iterator[bytes], line_filter: LineFilter) -> Iterator[bytes]:
    for chunk in chunks:
        yield from line_filter.feed(chunk)


def table_lines(snapshot: OpenedSnapshot, wanted: Table) -> Iterator[bytes]:
    """Yield the rows of one logged table as COPY text, its `columns` in their order; only its objects are opened."""
    places = log_map(snapshot.manifest)
    members = {
        index: own
        for index, parts in places.members.items()
        if (own := {number: place for number, place in parts.items() if place.table is wanted})
    }
    gone = GoneLines()
    for index, own in members.items():
        gone.add(gone_lines(snapshot, index, own))
    gone.merge()
    for index, place in places.bases.items():
        if place.table is wanted:
            yield from base_lines(snapshot, index, place, gone)
    for index, own in members.items():
        for _, pieces in delta_lines(snapshot, index, own, gone):
            yield from pieces
