"""What the workers of a run do, and what they find: segments to bring up to date, tables to count or to digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import psycopg

from permafrost.engines.context import RunContext
from permafrost.engines.scan_scope import ScanScope
from permafrost.events import Progress
from permafrost.postgres.catalog import TableName
from permafrost.postgres.digest import TableContents, count_rows, digest_rows
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.postgres.workers import Task
from permafrost.segments.chain import Outline
from permafrost.segments.rows import SEGMENT_PAGES
from permafrost.segments.state import SegmentState
from permafrost.segments.worker import SegmentContext, SegmentResult, SegmentWork, as_known, segments_of, update_segment


@dataclass(slots=True)
class Found:
    """What the workers found; they fill it in under `lock`."""

    outlines: dict[tuple[int, int], Outline] = field(default_factory=dict)
    rows: dict[TableName, int] = field(default_factory=dict)
    others: list[TableContents] = field(default_factory=list)
    digests: dict[TableName, TableContents] = field(default_factory=dict)
    rows_new: int = 0
    rows_gone: int = 0
    segments_changed: int = 0
    pages_done: int = 0
    pages_scanned: int = 0
    overlooked: int = 0
    tables_changed: set[int] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def take(self, work: SegmentWork, result: SegmentResult) -> int:
        """Add what was found in a segment, and return how many pages have been looked at so far."""
        with self.lock:
            if result.segment is not work.known:
                self.tables_changed.add(work.table.oid)
            self.outlines[work.table.oid, work.number] = result.segment.outline
            self.rows[work.table.name] = self.rows.get(work.table.name, 0) + result.segment.row_count
            self.rows_new += result.rows_new
            self.rows_gone += result.rows_gone
            self.segments_changed += result.is_changed
            self.pages_done += work.pages
            self.pages_scanned += result.pages_scanned
            self.overlooked += result.overlooked
            return self.pages_done


@dataclass(frozen=True, slots=True)
class LogTasks:
    """Makes the tasks of a run, as far as its `scope` goes, and puts what they find into `found`."""

    run: RunContext
    state: SegmentState
    context: SegmentContext
    scope: ScanScope
    found: Found
    block_size: int

    def of(self, tables: Sequence[LoggedTable], others: Sequence[TableName]) -> list[Task]:
        """Return what needs a connection, the longest first; what needs none is done before.

        With few segments left to look at, few workers connect: where nothing has changed, none does.
        """
        total = sum(table.pages for table in tables)
        segments = [(table, number) for table in tables for number in segments_of(table)]
        segments = [segment for segment in segments if not self._is_settled(*segment, total)]
        segments.sort(key=lambda named: min(named[0].pages - named[1] * SEGMENT_PAGES, SEGMENT_PAGES), reverse=True)
        audited = sorted(tables, key=lambda table: table.pages, reverse=True) if self.run.is_audited else []
        return [
            *(self._measure(table.name, is_logged=True) for table in audited),
            *(self._segment(table, number, total) for table, number in segments),
            *(self._measure(name, is_logged=False) for name in others),
        ]

    def _is_settled(self, table: LoggedTable, number: int, total_pages: int) -> bool:
        """Take a segment as it is known, if nothing in it has changed, and return whether that is so."""
        changed = self._work(table, number, is_known=False).changed
        if self.scope.reason or changed is None or changed:
            return False  # without a look into the state: the worker reads it
        work = self._work(table, number)
        result = as_known(work, self.context)
        if result is not None:
            self._take(work, result, total_pages)
        return result is not None

    def _work(self, table: LoggedTable, number: int, *, is_known: bool = True) -> SegmentWork:
        known = self.state.segment(table.oid, number) if is_known else None
        pages = self.scope.pages_of(table)
        return SegmentWork(table, number, known, pages, is_read_whole=bool(self.scope.reason))

    def _take(self, work: SegmentWork, result: SegmentResult, total_pages: int) -> None:
        if result.segment is not work.known:
            self.state.set_segment(work.table.oid, work.number, result.segment)
        done = self.found.take(work, result)
        self.run.report(Progress(done * self.block_size, total_pages * self.block_size, "bytes"))

    def _segment(self, table: LoggedTable, number: int, total_pages: int) -> Task:
        def task(connection: psycopg.Connection) -> None:
            work = self._work(table, number)
            self._take(work, update_segment(connection, work, self.context), total_pages)

        return task

    def _measure(self, name: TableName, *, is_logged: bool) -> Task:
        def task(connection: psycopg.Connection) -> None:
            contents = (digest_rows if self.run.is_audited else count_rows)(connection, name)
            with self.found.lock:
                if is_logged:
                    self.found.digests[name] = contents
                else:
                    self.found.others.append(contents)

        return task
