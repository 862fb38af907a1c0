"""Brings one segment up to date: scan, compare, read what is new, store it, and say what the log now knows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import psycopg

from permafrost.errors import DatabaseError
from permafrost.postgres.logged import LoggedTable
from permafrost.postgres.scan import SCAN_PAGES, copy_ctids, copy_pages, copy_table, scan_pages
from permafrost.segments.chain import Chain, Element, NewDelta, plan, rows_after_base, rows_after_delta
from permafrost.segments.rows import (
    NO_ROWS,
    SEGMENT_PAGES,
    Difference,
    KnownRows,
    RowVersions,
    Uint32,
    compare,
    ctids_of,
    decode_scan,
    join_scans,
)
from permafrost.segments.state import KnownSegment, pack_rows

SMALL_BASE_PAGES = 64
"""A base of fewer pages goes into the run's delta object: a hundred small tables would else be a hundred files."""


class SegmentStore(Protocol):
    """Where bases and deltas go. Both return the object's name; a delta's is known only at the end of the run."""

    def put_base(self, chunks: Iterable[bytes]) -> str:
        """Store a base of its own, durably; return the object's name."""
        ...

    def add_delta(self, gone: Uint32, chunks: Iterable[bytes]) -> tuple[int, int]:
        """Add a segment's change to the run's delta object; return its member number and its text's bytes."""
        ...


THIS_RUNS_DELTA = ""
"""The object name of an element that lies in the delta object of the run under way."""


@dataclass(frozen=True, slots=True)
class SegmentWork:
    """A segment to look at: of which table, which one, and which pages it has now."""

    table: LoggedTable
    number: int
    known: KnownSegment | None

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


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What the log knows now, and how many row versions came and went."""

    segment: KnownSegment
    rows_new: int
    rows_gone: int
    is_changed: bool


def segments_of(table: LoggedTable) -> range:
    """Return the numbers of the table's segments."""
    return range(-(-table.pages // SEGMENT_PAGES))


def update_segment(
    connection: psycopg.Connection, work: SegmentWork, store: SegmentStore, missing: Collection[str] = ()
) -> SegmentResult:
    """Look at a segment under the connection's snapshot, store what changed, and return what the log now knows.

    A segment whose chain needs an object of `missing` starts again with a new base.
    """
    known = work.known
    if known is not None and any(element.object_name in missing for element in known.chain):
        known = None
    seen, digest = _scan(connection, work)
    if known is not None and known.scan_digest == digest:
        return SegmentResult(known, 0, 0, is_changed=False)
    if known is None:
        return _new_base(connection, work, seen, digest, store, rows_gone=0)
    difference = compare(known.rows(), seen)
    if not difference:  # another answer, the same rows: they came in another order
        return SegmentResult(_known(known.chain, digest, difference.stayed), 0, 0, is_changed=False)
    planned = plan(known.chain, difference)
    if isinstance(planned, NewDelta):
        return _new_delta(connection, work, planned, difference, digest, store)
    return _new_base(connection, work, seen, digest, store, rows_gone=len(difference.gone), new=len(difference.new))


def _scan(connection: psycopg.Connection, work: SegmentWork) -> tuple[RowVersions, bytes]:
    digest = hashlib.blake2b(digest_size=16)
    parts = []
    for page in range(work.first_page, work.end_page, SCAN_PAGES):
        raw = scan_pages(connection, work.table, page, min(page + SCAN_PAGES, work.end_page))
        digest.update(raw)
        parts.append(decode_scan(raw, work.first_page))
    return join_scans(parts), digest.digest()


def _new_base(
    connection: psycopg.Connection,
    work: SegmentWork,
    seen: RowVersions,
    digest: bytes,
    store: SegmentStore,
    *,
    rows_gone: int,
    new: int | None = None,
) -> SegmentResult:
    count = len(seen) if new is None else new
    if not len(seen):
        return SegmentResult(_known((), digest, NO_ROWS), count, rows_gone, is_changed=bool(rows_gone))
    if work.pages == work.table.pages:
        text = copy_table(connection, work.table)
    else:
        text = copy_pages(connection, work.table, work.first_page, work.end_page)
    counted = CountedLines(text)
    if work.pages <= SMALL_BASE_PAGES:
        member, _ = store.add_delta(np.empty(0, np.uint32), counted)
        name = THIS_RUNS_DELTA
    else:
        member, name = None, store.put_base(counted)
    counted.expect(len(seen), work)
    base = Element(name, member, 0, 0, len(seen), counted.size_bytes, np.empty(0, np.uint32))
    return SegmentResult(_known((base,), digest, rows_after_base(seen)), count, rows_gone, is_changed=True)


def _new_delta(
    connection: psycopg.Connection,
    work: SegmentWork,
    planned: NewDelta,
    difference: Difference,
    digest: bytes,
    store: SegmentStore,
) -> SegmentResult:
    counted = CountedLines(copy_ctids(connection, work.table, ctids_of(planned.rows.places, work.first_page)))
    member, size = store.add_delta(planned.gone, counted)
    counted.expect(len(planned.rows), work)
    delta = Element(THIS_RUNS_DELTA, member, planned.level, planned.first_line, len(planned.rows), size, planned.gone)
    known = _known((*planned.kept, delta), digest, rows_after_delta(planned))
    return SegmentResult(known, len(difference.new), len(difference.gone), is_changed=True)


def _known(chain: Chain, digest: bytes, rows: KnownRows) -> KnownSegment:
    return KnownSegment(digest, len(rows), chain, pack_rows(rows))


class CountedLines:
    """Passes COPY text on and counts its lines and bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.lines = 0
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.lines += chunk.count(b"\n")
            self.size_bytes += len(chunk)
            yield chunk

    def expect(self, lines: int, work: SegmentWork) -> None:
        """Raise `DatabaseError` unless exactly so many lines came."""
        if self.lines != lines:
            raise DatabaseError(
                f"segment {work.number} of {work.table.name} gave {self.lines} rows where its scan saw {lines}",
                hint="run the backup again with --full, and report this",
            )
