"""permafrost restore-table: one table of a snapshot, into a schema beside the live tables, or as text.

What the columns are is learnt from a database of definitions alone, made from the frame and dropped again; the
table is then made, filled and compared in one transaction, so that it is there whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.restore import RestoreTableDocument
from permafrost.errors import RestoreRefusedError
from permafrost.events import Note, Reporter, Steps
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.log_map import check_log_manifest
from permafrost.loading.rows.table_rows import copy_text, find_table
from permafrost.loading.source import OpenedRepository, Source, opened
from permafrost.loading.table_columns import snapshot_columns
from permafrost.loading.table_load import load_table
from permafrost.postgres.building.provision import database_exists
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.table_definition import table_exists
from permafrost.repository.layout import SnapshotId
from permafrost.repository.manifest import Table

_STEPS = 4


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Which table of which snapshot (None: the newest) to restore, and where to.

    `table` is its name as a person writes it, with or without its schema. `server` is a libpq connection string; the
    database named in it is only used to look for `database` and to make one with the definitions.
    """

    source: Source
    choice: SnapshotId | None
    table: str
    server: str
    database: str
    schema: str


@dataclass(frozen=True, slots=True)
class RescuedTable:
    """What was restored, where it lies, and the columns whose defaults could not be had."""

    snapshot: SnapshotId
    table: TableName
    database: str
    rescued_as: TableName
    rows: int
    is_audited: bool
    defaults_left_out: tuple[str, ...]
    duration_s: float

    def document(self) -> RestoreTableDocument:
        """Return it for JSON."""
        return RestoreTableDocument(
            snapshot=str(self.snapshot),
            table=str(self.table),
            database=self.database,
            rescued_as=str(self.rescued_as),
            rows=self.rows,
            audited=self.is_audited,
            defaults_left_out=self.defaults_left_out,
            duration_s=self.duration_s,
        )


def write_table(
    source: Source,
    choice: SnapshotId | None,
    name: str,
    write: Callable[[bytes], object],
    report: Reporter,
    now: datetime,
) -> None:
    """Hand the rows of the table `name` to `write` as COPY text; only its objects are read, and no server is needed."""
    with opened(source, report) as repository:
        snapshot, table = _read(repository, choice, name, report, now)
        for chunk in copy_text(snapshot, table):
            write(chunk)


def rescue_table(request: TableRequest, *, report: Reporter, now: datetime) -> RescuedTable:
    """Restore the table into a schema of an existing database; nothing existing is touched.

    It has the columns with their types, not null and what defaults can be had, and no keys, indexes or triggers.
    Raise `RestoreRefusedError` if something of that name is in the schema.
    """
    started = time.monotonic()
    steps = Steps(report, _STEPS)
    server, database = request.server, request.database
    with opened(request.source, report) as repository:
        with steps.step("check the snapshot's signature and find the table"):
            snapshot, table = _read(repository, request.choice, request.table, report, now)
        original = TableName(table.schema_name, table.name)
        rescued = TableName(request.schema, table.name)
        with steps.step("check the target database"):
            _check_place(server, database, rescued)
        with steps.step("read its columns from the snapshot's definitions"):
            columns = snapshot_columns(snapshot, original, server, database)
        with (
            steps.step(f"create {rescued}, load its rows, compare them"),
            connected(conninfo_for(server, dbname=database)) as connection,
        ):
            left_out = load_table(connection, snapshot, table, rescued, columns)
    return RescuedTable(
        snapshot=snapshot.id,
        table=original,
        database=database,
        rescued_as=rescued,
        rows=table.rows,
        is_audited=table.digest is not None,
        defaults_left_out=left_out,
        duration_s=round(time.monotonic() - started, 3),
    )


def _read(
    repository: OpenedRepository, choice: SnapshotId | None, name: str, report: Reporter, now: datetime
) -> tuple[OpenedSnapshot, Table]:
    snapshot = repository.read(choice, now, report)
    report(Note(f"snapshot {snapshot.id} of {snapshot.manifest.database.name}"))
    check_log_manifest(snapshot.manifest)
    return snapshot, find_table(snapshot.manifest, name)


def _check_place(server: str, database: str, rescued: TableName) -> None:
    with connected(conninfo_for(server)) as connection:
        if not database_exists(connection, database):
            raise RestoreRefusedError(
                f"there is no database {database}",
                unchanged="everything",
                hint="name an existing database, or restore the whole snapshot with permafrost restore",
            )
    with connected(conninfo_for(server, dbname=database)) as connection:
        if table_exists(connection, rescued):
            raise RestoreRefusedError(
                f"{rescued} already exists in the database {database}",
                unchanged="everything",
                hint="give another schema with --schema NAME; it is created if it does not exist",
            )
