"""Brings one segment up to date: scan, compare, read what is new, store it, and return the new state."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import psycopg

from permafrost.errors import DatabaseError
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.postgres.scan import (
    SCAN_PAGES,
    WHOLE_TABLE_ROWS,
    copy_ctids,
    copy_pages,
    copy_table,
    scan_pages,
    scan_ranges,
    scan_table,
)
from permafrost.segments.chain import Chain, Element, NewDelta, is_merging, plan, rows_after_base, rows_after_delta
from permafrost.segments.changed_pages import ChangedPages, FilePages
from permafrost.segments.known_segment import KnownSegment
from permafrost.segments.rows import (
    NO_ROWS,
    SEGMENT_PAGES,
    Pages,
    RowVersions,
    Uint32,
    compare,
    ctids_of,
    decode_scan,
    join_scans,
    pages_among,
)
from permafrost.timing import WorkTimes

SMALL_BASE_PAGES = 64
"""A base of fewer pages goes into the run's delta object: a hundred small tables would else be a hundred files."""


NOT_SCANNED = b""
"""The scan digest of a segment of which the last run read only the pages that had changed."""
_NEWLINE = 10
_DENSE_BYTES_A_PAGE = 600
_dense_segments_are_alone = threading.Lock()
"""A segment of narrow rows has up to 1.8 million of them, which take some 100 MB while they are compared: one at a
time, whatever the number of workers. Dense is 60 rows a page; a scan answers 10 bytes a row."""


class SegmentStore(Protocol):
    """Where bases and deltas go. Their objects' real names, their hashes, may be known only at the end of the run."""

    def put_base(self, chunks: Iterable[bytes]) -> str:
        """Read all of a base, to be an object of its own; return its name until the run ends."""
        ...

    def add_delta(self, gone: Uint32, chunks: Iterable[bytes]) -> tuple[int, int]:
        """Add a segment's change to the run's delta object; return its member number and its text's bytes."""
        ...


THIS_RUNS_DELTA = ""
"""The object name, until the run ends, of an element in the delta object of the current run."""


@dataclass(frozen=True, slots=True)
class SegmentWork:
    """A segment to look at: of which table, which one, and which pages it has now.

    `file` are the pages of the table's file that may have changed since the state was left, None if nobody knows.
    With `is_read_whole` all are read all the same, and what has changed elsewhere is counted.
    """

    table: LoggedTable
    number: int
    known: KnownSegment | None
    file: FilePages | None = None
    is_read_whole: bool = False

    @property
    def first_page(self) -> int:
        """Its first page."""
        return self.number * SEGMENT_PAGES

    @property
    def end_page(self) -> int:
        """The page after its last."""
        return min(self.table.pages, self.first_page + SEGMENT_PAGES)

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return self.end_page - self.first_page

    @property
    def changed(self) -> ChangedPages | None:
        """Which of them may have changed, None if nobody knows."""
        return None if self.file is None else self.file.of_segment(self.first_page, SEGMENT_PAGES, self.pages)


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What the log knows now, how many row versions came and went, and on how many pages they were looked for.

    `overlooked` row versions came or went on pages that should not have changed.
    """

    segment: KnownSegment
    rows_new: int
    rows_gone: int
    is_changed: bool
    pages_scanned: int
    overlooked: int = 0


def segments_of(table: LoggedTable) -> range:
    """Return the numbers of the table's segments."""
    return range(-(-table.pages // SEGMENT_PAGES))


@dataclass(frozen=True, slots=True)
class SegmentContext:
    """What the work on every segment of a run needs.

    `minute` is the run's, by `minute_of`. `missing` are objects that are not there any more: a segment whose chain
    needs one starts again with a new base.
    """

    store: SegmentStore
    minute: int
    missing: Collection[str] = ()
    times: WorkTimes = field(default_factory=WorkTimes)


def as_known(work: SegmentWork, context: SegmentContext) -> SegmentResult | None:
    """Return what the log knows of a segment if it is certain that nothing in it has changed, without a connection."""
    if work.known is None or work.is_read_whole or work.changed is None or work.changed:
        return None
    if any(element.object_name in context.missing for element in work.known.outline):
        return None
    return SegmentResult(work.known, 0, 0, is_changed=False, pages_scanned=0)


def update_segment(connection: psycopg.Connection, work: SegmentWork, context: SegmentContext) -> SegmentResult:
    """Look at a segment under the connection's snapshot, store what changed, and return what the log now knows."""
    if (unchanged := as_known(work, context)) is not None:
        return unchanged
    known = work.known
    if known is not None and any(element.object_name in context.missing for element in known.outline):
        known = None
    changed = work.changed
    if known is not None and changed is not None and not work.is_read_whole and changed.are_few:
        with _dense_segments_are_alone if _is_dense(10 * known.row_count, work.pages) else nullcontext():
            result = _update_changed(connection, work, known, changed, context)
        if result is not None:
            return result
    first = _scan_part(connection, work, work.first_page, context.times)
    is_dense = _is_dense(len(first), min(_pages_at_once(work), work.pages))
    with _dense_segments_are_alone if is_dense else nullcontext():
        return _update(connection, work, known, first, context)


def _is_dense(scan_bytes: int, pages: int) -> bool:
    return scan_bytes > _DENSE_BYTES_A_PAGE * pages


def _update_changed(
    connection: psycopg.Connection,
    work: SegmentWork,
    known: KnownSegment,
    changed: ChangedPages,
    context: SegmentContext,
) -> SegmentResult | None:
    """Do the same by reading the changed pages alone; None if the segment has to be read whole, as a new base."""
    ranges = changed.ranges()
    with context.times.of("scan"):
        raw = scan_ranges(connection, work.table, ranges) if ranges else b""
    with context.times.of("compare"):
        chain = known.chain()
        rows = known.rows() if is_merging(chain, context.minute) else known.rows_on(changed.read_pages())
        difference = changed.compare(rows, decode_scan(raw, work.first_page))
        if not difference:
            return SegmentResult(known, 0, 0, is_changed=False, pages_scanned=changed.count)
        elsewhere = known.row_count - len(rows)
        del rows
        planned = plan(chain, difference, context.minute, elsewhere)
    if not isinstance(planned, NewDelta):
        return None
    change = _Change(known, planned, pages_among(difference.gone_places), elsewhere)
    segment = _new_delta(connection, work, change, NOT_SCANNED, context)
    return SegmentResult(
        segment, len(difference.new), len(difference.gone), is_changed=True, pages_scanned=changed.count
    )


def _update(
    connection: psycopg.Connection, work: SegmentWork, known: KnownSegment | None, first: bytes, context: SegmentContext
) -> SegmentResult:
    digest, raw = _scan(connection, work, first, context.times)
    if known is not None and known.scan_digest == digest:
        return SegmentResult(known, 0, 0, is_changed=False, pages_scanned=work.pages)
    overlooked, difference, change = 0, None, None
    with context.times.of("compare"):
        seen = _decoded(raw, work)
        if known is not None:
            difference = compare(known.rows(), seen)
            if not difference:  # another answer, the same rows: they came in another order, or not all were asked for
                segment = replace(known, scan_digest=digest)
                return SegmentResult(segment, 0, 0, is_changed=False, pages_scanned=work.pages)
            if (changed := work.changed) is not None:
                overlooked = changed.overlooked(difference)
            planned = plan(known.chain(), difference, context.minute)
            if isinstance(planned, NewDelta):
                change = _Change(known, planned, pages_among(difference.gone_places))
            del planned
    new, gone = (len(seen), 0) if difference is None else (len(difference.new), len(difference.gone))
    is_changed = difference is not None or bool(len(seen))
    del difference  # of a dense segment these are many MB
    if change is not None:
        del seen
        segment = _new_delta(connection, work, change, digest, context)
    else:
        segment = _new_base(connection, work, seen, digest, context)
    return SegmentResult(segment, new, gone, is_changed, pages_scanned=work.pages, overlooked=overlooked)


def _scan_part(connection: psycopg.Connection, work: SegmentWork, page: int, times: WorkTimes) -> bytes:
    with times.of("scan"):
        if _is_one_scan(work):
            return scan_table(connection, work.table)
        return scan_pages(connection, work.table, page, min(page + SCAN_PAGES, work.end_page))


def _is_one_scan(work: SegmentWork) -> bool:
    """Return whether the segment is its whole table and was small enough for one query when it was last looked at."""
    is_whole = work.pages == work.table.pages
    return is_whole and work.known is not None and work.known.row_count <= WHOLE_TABLE_ROWS


def _pages_at_once(work: SegmentWork) -> int:
    return SEGMENT_PAGES if _is_one_scan(work) else SCAN_PAGES


def _scan(
    connection: psycopg.Connection, work: SegmentWork, first: bytes, times: WorkTimes
) -> tuple[bytes, list[bytes]]:
    """Return the digest of the whole scan and its raw parts, of which the first has been read already."""
    digest = hashlib.blake2b(first, digest_size=16)
    parts = [first]
    for page in range(work.first_page + _pages_at_once(work), work.end_page, SCAN_PAGES):
        parts.append(_scan_part(connection, work, page, times))
        digest.update(parts[-1])
    return digest.digest(), parts


def _decoded(raw: list[bytes], work: SegmentWork) -> RowVersions:
    """Return the row versions of a scan's parts, which are emptied on the way."""
    raw.reverse()
    return join_scans([decode_scan(raw.pop(), work.first_page) for _ in range(len(raw))])


def _new_base(
    connection: psycopg.Connection, work: SegmentWork, seen: RowVersions, digest: bytes, context: SegmentContext
) -> KnownSegment:
    if not len(seen):
        return KnownSegment.of((), digest, NO_ROWS)
    if work.pages == work.table.pages:
        text = copy_table(connection, work.table)
    else:
        text = copy_pages(connection, work.table, work.first_page, work.end_page)
    counted = CountedLines(context.times.waiting_for("fetch", text))
    if work.pages <= SMALL_BASE_PAGES:
        member, _ = context.store.add_delta(np.empty(0, np.uint32), counted)
        name = THIS_RUNS_DELTA
    else:
        member, name = None, context.store.put_base(counted)
    counted.expect(len(seen), work)
    base = Element(name, member, 0, 0, len(seen), counted.size_bytes, np.empty(0, np.uint32), context.minute)
    return KnownSegment.of((base,), digest, rows_after_base(seen))


@dataclass(frozen=True, slots=True)
class _Change:
    """A segment as it was known, its next delta, the pages where rows went, and how many rows were not looked at."""

    known: KnownSegment
    planned: NewDelta
    gone_from: Pages
    elsewhere: int = 0

    def after(self, chain: Chain, digest: bytes) -> KnownSegment:
        """Return the segment once the delta is stored."""
        pages = self.gone_from | pages_among(self.planned.rows.places)
        return self.known.continued(chain, digest, pages, rows_after_delta(self.planned), self.elsewhere)


def _new_delta(
    connection: psycopg.Connection, work: SegmentWork, change: _Change, digest: bytes, context: SegmentContext
) -> KnownSegment:
    planned = change.planned
    text = copy_ctids(connection, work.table, ctids_of(planned.rows.places, work.first_page))
    counted = CountedLines(context.times.waiting_for("fetch", text))
    member, size = context.store.add_delta(planned.gone, counted)
    counted.expect(len(planned.rows), work)
    delta = Element(
        THIS_RUNS_DELTA,
        member,
        planned.level,
        planned.first_line,
        len(planned.rows),
        size,
        planned.gone,
        context.minute,
    )
    with context.times.of("compare"):
        return change.after((*planned.kept, delta), digest)


class CountedLines:
    """Passes COPY text on and counts its lines and bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.lines = 0
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.lines += int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == _NEWLINE))  # a quarter of bytes.count
            self.size_bytes += len(chunk)
            yield chunk

    def expect(self, lines: int, work: SegmentWork) -> None:
        """Raise `DatabaseError` unless exactly `lines` lines came."""
        if self.lines != lines:
            raise DatabaseError(
                f"segment {work.number} of {work.table.name} returned {self.lines} rows where its scan saw {lines}",
                hint="run the backup again with --full, and please report this",
            )
