"""A snapshot loaded into an empty database: in parts, in their order, whole or with what is missing noted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial

from permafrost.events import Reporter, Steps
from permafrost.lazy_import import imported_beside
from permafrost.loading.comparison import compare, differences
from permafrost.loading.frame import FrameLoader
from permafrost.loading.logins import READER_ROLE, Login, owner_logins
from permafrost.loading.missing import Missing
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.careful_rows import load_again
from permafrost.loading.rows.refused_tables import TablesToLoadAgain, stop_at_a_refused_row
from permafrost.loading.working_database import report_refused
from permafrost.postgres.building.guarded import Refused
from permafrost.postgres.building.load_order import tables_that_read_others
from permafrost.postgres.building.sequences import SequenceValue, set_sequences
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.failures import FailureSink
from permafrost.repository.manifest import Manifest, Table

_ROWS = "permafrost.loading.rows.log_rows"


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a snapshot into its empty database.

    If it `keeps_going`, what is refused goes to `missing`. If not, the first failure ends the load; but if it
    `keeps_rows`, only until every row is in: what the rows do not allow is noted then, and not worth losing them for.
    """

    snapshot: OpenedSnapshot
    frame: FrameLoader
    conninfo: str
    missing: Missing
    report: Reporter
    jobs: int
    keeps_going: bool
    keeps_rows: bool
    lists_missing: bool
    logs_in_as_owners: bool = False
    """Whether the server has the snapshot's own roles, and lets us be any of them."""

    def everything(self, steps: Steps) -> None:
        """Load the snapshot, analyze the database, and refresh its materialized views after that."""
        frame, report = self.frame, self.report
        if self.keeps_going:
            frame.on_failure = self.missing.note
        if self.snapshot.manifest.engine == "log" or self.keeps_going:
            self._in_parts(steps)
        else:
            with steps.step("load everything in the order of the dump"):
                frame.load_all()
                self._refused(frame.load_guarded())
                _set_sequences(self.conninfo, self.snapshot.manifest, frame.on_failure)
            steps.skip(3)
            with steps.step("analyze"):
                frame.analyze(report)
            steps.skip(1)
        with steps.step("refresh materialized views"):
            self._refused(frame.refresh_materialized_views())

    def _in_parts(self, steps: Steps) -> None:
        frame, report = self.frame, self.report
        with steps.step("load types, functions and empty tables"), imported_beside(_ROWS):
            frame.load_definitions()
        self._rows(steps)
        if self.keeps_rows:
            frame.on_failure = self.missing.note
        with steps.step("build indexes and keys"):
            frame.load_indexes(report)
        with steps.step("analyze, check foreign keys"):
            frame.analyze_and_check_keys(report)
        with steps.step("add the rest: row security, publications, labels"):
            self._refused(frame.load_the_rest())

    def _rows(self, steps: Steps) -> None:
        again = TablesToLoadAgain()
        on_refused = again.add if self.keeps_going else stop_at_a_refused_row
        with ExitStack() as stack:
            with steps.step("load rows"):
                from permafrost.loading.rows.log_rows import load_rows  # noqa: PLC0415

                alone = nullcontext([Login(self.conninfo)])
                logins = stack.enter_context(owner_logins(self.conninfo) if self.logs_in_as_owners else alone)
                load = partial(load_rows, self.snapshot, on_refused=on_refused, report=self.report)
                last = _tables_to_load_last(self.conninfo)
                for login in logins:
                    load(login, lambda table: _name(table) not in last, jobs=self.jobs)
            with steps.step("load what is not logged, large objects and sequences"):
                self.frame.load_data(logins, on_refused)
                for name in last:
                    for login in logins:
                        load(login, partial(_is_named, name), jobs=1)
                load_again(self.snapshot, self.conninfo, again, logins, self.missing)
                _set_sequences(self.conninfo, self.snapshot.manifest, self.frame.on_failure)

    def event_triggers(self) -> None:
        """Load the event triggers, after which nothing may be done in the database."""
        self._refused(self.frame.load_event_triggers())

    def compare(self) -> int:
        """Return how many rows there are, less those that were refused.

        Any other difference is noted if somebody will have the database all the same, and otherwise raised: then the
        snapshot is what is looked at.
        """
        manifest, refused = self.snapshot.manifest, self.missing.rows_refused
        conninfo = conninfo_for(self.conninfo, user=READER_ROLE) if self.logs_in_as_owners else self.conninfo
        if not (self.keeps_going and self.lists_missing):
            return compare(conninfo, manifest, refused, self.jobs, self.report)
        rows, wrong = differences(conninfo, manifest, refused, self.jobs, self.report)
        for difference in wrong:
            self.missing.note_difference(difference)
        return rows

    def _refused(self, statements: Sequence[Refused]) -> None:
        """Take what a role or a server is not able to run, which does not make a restore fail."""
        if self.keeps_going and self.lists_missing:
            self.missing.note_refused(statements)
        else:
            report_refused(statements, self.report)


def _tables_to_load_last(conninfo: str) -> Sequence[TableName]:
    with connected(conninfo) as connection:
        return tables_that_read_others(connection)


def _is_named(name: TableName, table: Table) -> bool:
    return _name(table) == name


def _name(table: Table) -> TableName:
    return TableName(table.schema_name, table.name)


def _set_sequences(conninfo: str, manifest: Manifest, on_failure: FailureSink) -> None:
    values = [
        SequenceValue(TableName(sequence.namespace, sequence.name), sequence.last_value, sequence.is_called)
        for sequence in manifest.sequences
    ]
    if values:
        with connected(conninfo) as connection:
            set_sequences(connection, values, on_failure)
