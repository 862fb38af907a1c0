"""Runs of the segment log as a backup makes them, with a store in memory, each compared with what its snapshot sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from permafrost.engines.scan_scope import ScanScope, find_scope
from permafrost.postgres.connection import connected
from permafrost.postgres.history_mark import leave_mark
from permafrost.postgres.identity import ServerIdentity, read_identity, wait_until_flushed
from permafrost.postgres.locked_snapshot import LockedSnapshot, locked_snapshot
from permafrost.postgres.loggable_tables import LoggedTable, describe_tables
from permafrost.postgres.scan import copy_table
from permafrost.postgres.wal_position import lowest_running
from permafrost.postgres.wal_summaries import NoSummariesError, check_summarizing
from permafrost.segments import body, chain, changed_pages, known_segment, packing, rows, worker
from permafrost.segments.chain import Outline
from permafrost.segments.reconcile import forget_what_changed, reason_to_forget_everything, remember
from permafrost.segments.scan_start import ScanStart, note_start, read_start
from permafrost.segments.state import SegmentState
from permafrost.segments.worker import THIS_RUNS_DELTA, SegmentContext, SegmentWork, segments_of, update_segment
from tests.segments.memory_store import MemoryStore, rebuilt


class CrashError(Exception):
    """The run dies here."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run scanned, which tables it then got wrong, and how many rows it found where none should have changed."""

    scope: ScanScope
    wrong: tuple[str, ...]
    overlooked: int
    pages_scanned: int


def use_small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of four pages, so that small tables have many, with bases of both kinds, and early merges of deltas.

    Their rows are packed page by page, and about as often as a patch as anew.
    """
    for module in (rows, packing, worker):
        monkeypatch.setattr(module, "SEGMENT_PAGES", 4)
    monkeypatch.setattr(worker, "SMALL_BASE_PAGES", 3)
    monkeypatch.setattr(chain, "EPOCHS", (120, 240, 480, 960))
    monkeypatch.setattr(chain, "WORTH_MERGING", 2)
    monkeypatch.setattr(changed_pages, "FEW", 1)
    monkeypatch.setattr(body, "BLOCK_PAGES", 1)
    monkeypatch.setattr(known_segment, "LARGEST_PATCH", 0.6)


class LoggedRuns:
    """Runs on one database, one after the other, with the state that they share."""

    def __init__(self, conninfo: str, state_file: Path, *, scans_changed: bool) -> None:
        self.conninfo = conninfo
        self.state = SegmentState(state_file)
        self.store = MemoryStore()
        self._scans_changed = scans_changed
        self._minute = 0

    def run(self, *, dies: bool = False, why_check: str = "") -> RunOutcome:
        """Run the log as a backup does, and compare what it stored with what its own snapshot sees."""
        with locked_snapshot(self.conninfo) as snapshot, self.state.changing():
            connection = snapshot.connection
            identity = read_identity(connection)
            if reason_to_forget_everything(self.state, identity, connection):
                self.state.forget_everything()
            tables = describe_tables(connection, snapshot.tables)
            forget_what_changed(self.state, tables)
            start = read_start(self.state)
            scope = self._scope(snapshot, identity, start, tables, why_check)
            chains, overlooked, pages_scanned = self._update(snapshot, tables, scope)
            wrong = self._wrong(snapshot, tables, chains)
            with connected(self.conninfo) as other:  # the snapshot is asked for more
                mark = leave_mark(other)
            wait_until_flushed(connection, identity.lsn, snapshot.taken_at)
            remember(self.state, identity, mark)
            if scope.is_idle:
                start = start.after_idle_run(mark)
            else:
                start = start.after_run(lowest_running(connection), snapshot.positions, mark)
            note_start(self.state, start)
            if dies:
                raise CrashError
        return RunOutcome(scope, wrong, overlooked, pages_scanned)

    def run_on(self, conninfo: str) -> RunOutcome:
        """Run as when the address of the server is another one from now on."""
        self.conninfo = conninfo
        return self.run()

    def _scope(
        self,
        snapshot: LockedSnapshot,
        identity: ServerIdentity,
        start: ScanStart,
        tables: tuple[LoggedTable, ...],
        why_check: str,
    ) -> ScanScope:
        if not self._scans_changed:
            return ScanScope(None, "not asked for")
        try:
            check_summarizing(snapshot.connection)
        except NoSummariesError as error:
            return ScanScope(None, str(error))
        return find_scope(self.conninfo, identity, start, tables, why_check)

    def _update(
        self, snapshot: LockedSnapshot, tables: tuple[LoggedTable, ...], scope: ScanScope
    ) -> tuple[Mapping[tuple[int, int], Outline], int, int]:
        self._minute += 60
        context = SegmentContext(self.store, self._minute)
        chains: dict[tuple[int, int], Outline] = {}
        overlooked = pages_scanned = 0
        for table in tables:
            for number in segments_of(table):
                known = self.state.segment(table.oid, number)
                work = SegmentWork(table, number, known, scope.pages_of(table), is_read_whole=bool(scope.reason))
                result = update_segment(snapshot.connection, work, context)
                self.state.set_segment(table.oid, number, result.segment)
                chains[table.oid, number] = result.segment.outline
                overlooked += result.overlooked
                pages_scanned += result.pages_scanned
        name = self.store.finish()
        for (oid, number), elements in chains.items():
            named = tuple(
                replace(one, object_name=name) if one.object_name == THIS_RUNS_DELTA and name else one
                for one in elements
            )
            chains[oid, number] = named
            if name:
                self.state.name_objects(oid, number, {THIS_RUNS_DELTA: name})
        return chains, overlooked, pages_scanned

    def _wrong(
        self, snapshot: LockedSnapshot, tables: tuple[LoggedTable, ...], chains: Mapping[tuple[int, int], Outline]
    ) -> tuple[str, ...]:
        wrong = []
        for table in tables:
            expected = sorted(b"".join(copy_table(snapshot.connection, table)).split(b"\n")[:-1])
            found = [
                line
                for number in segments_of(table)
                for line in rebuilt(chains[table.oid, number], self.store.objects.__getitem__)
            ]
            if sorted(found) != expected:
                wrong.append(table.name.name)
        return tuple(wrong)

    def close(self) -> None:
        """Close the state."""
        self.state.close()
