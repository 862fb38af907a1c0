"""What a run has to scan: only the blocks that the server's WAL has touched since the last one, or everything.

The rule and its proof are in docs/engine.md, "Only what has changed". Whenever the server cannot say what was touched,
everything is scanned, and the reason is reported when it is a new one. An audit, and any run once a day, scans
everything also when the server can: rows that changed elsewhere show that the rule, or the server, is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from permafrost.engines.contents import OPEN_TRANSACTION
from permafrost.engines.context import RunContext
from permafrost.errors import DatabaseError
from permafrost.events import Note
from permafrost.postgres.connection import connected
from permafrost.postgres.identity import ServerIdentity
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.postgres.wal_summaries import NoSummariesError, SummariesGapError, summarize_until, touched_files
from permafrost.segments.changed_pages import FilePages
from permafrost.segments.scan_start import ScanStart

_NOTHING = FilePages.of(b"", None)


@dataclass(frozen=True, slots=True)
class ScanScope:
    """What to scan. `files` are the pages that may have changed, by number of the file; None if nobody knows.

    `reason` says why everything is scanned, '' if only those pages are. `is_idle` says that nothing has happened.
    """

    files: Mapping[int, FilePages] | None
    reason: str = ""
    is_idle: bool = False

    def pages_of(self, table: LoggedTable) -> FilePages | None:
        """Return which pages of a table may have changed, None if nobody knows."""
        if self.files is None or not table.is_in_wal:
            return None
        return self.files.get(table.file_node, _NOTHING)


def find_scope(
    conninfo: str, identity: ServerIdentity, start: ScanStart, tables: Sequence[LoggedTable], why_check: str = ""
) -> ScanScope:
    """Return what to scan under the snapshot that `identity` was read with, on a server that summarizes its WAL.

    With `why_check` everything is to be scanned, even if the server says what was touched.
    """
    if start.distrust:
        return ScanScope(None, start.distrust)
    if start.lowest_running is None:
        return ScanScope(None, "the last run has left no position in the server's WAL")
    if start.is_idle_until(identity.next_xid):
        return ScanScope({}, why_check, is_idle=True)
    try:
        return ScanScope(_touched(conninfo, identity, start, tables), why_check)
    except NoSummariesError as error:
        return ScanScope(None, str(error))
    except DatabaseError as error:  # the server has no connection left for this
        return ScanScope(None, error.message)


def _touched(
    conninfo: str, identity: ServerIdentity, start: ScanStart, tables: Sequence[LoggedTable]
) -> Mapping[int, FilePages]:
    lsn = start.lsn()
    if lsn is None:
        raise NoSummariesError(OPEN_TRANSACTION)
    if identity.timeline is None:
        raise NoSummariesError("this server is a standby")
    files = [table.file_node for table in tables if table.is_in_wal]
    with connected(conninfo) as connection:
        summarize_until(connection, identity.lsn)
        try:
            touched = touched_files(connection, timeline=identity.timeline, start=lsn, end=identity.lsn, files=files)
        except SummariesGapError as error:
            raise NoSummariesError(OPEN_TRANSACTION) if start.is_held_back else error from error
    return {number: FilePages.of(file.blocks, file.limit) for number, file in touched.items()}


def reason_to_check(run: RunContext, start: ScanStart) -> str:
    """Return why everything is scanned though the server says what was touched, '' if it is not."""
    if run.is_audited:
        return "an audit scans everything"
    return "once a day everything is scanned" if start.is_check_due(run.now) else ""


def report_scope(run: RunContext, scope: ScanScope, start: ScanStart) -> ScanStart:
    """Say how rows are scanned if that is not what was said last, and return what is to be noted."""
    if scope.files is not None and scope.reason:
        return start  # a check, which says nothing of other runs
    said = f"every row is scanned: {scope.reason}" if scope.reason else "only blocks that have changed are scanned"
    if said != start.said:
        run.report(Note(said))
    return replace(start, said=said)
