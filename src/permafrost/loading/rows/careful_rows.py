"""The rows of a table that PostgreSQL would not take as a whole: all that it takes, and the others one by one aside.

Rows go in by batches. A batch that is refused is halved until the rows are found that cannot go in, so that few bad
rows among many cost little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.loading.logins import Login
from permafrost.loading.missing import Missing
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.table_rows import copy_text
from permafrost.postgres.building.copy_in import copy_in
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.error_text import error_text
from permafrost.postgres.failures import is_of_the_server
from permafrost.repository.manifest import Table

_BATCH_BYTES = 4 << 20
_BATCH_LINES = 10_000
_NO_TABLE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn)


def load_again(
    snapshot: OpenedSnapshot, conninfo: str, tables: Iterable[Table], logins: Sequence[Login], missing: Missing
) -> None:
    """Load the tables again, each as `load_carefully` does, with its login; `conninfo` may empty all of them."""
    with connected(conninfo) as connection:
        for table in tables:
            name = TableName(table.schema_name, table.name)
            login = next((candidate for candidate in logins if candidate.loads(name)), logins[0])
            with connected(login.conninfo) as session:
                load_carefully(session, snapshot, table, missing, emptied_by=connection)


def load_carefully(
    connection: psycopg.Connection,
    snapshot: OpenedSnapshot,
    table: Table,
    missing: Missing,
    *,
    emptied_by: psycopg.Connection | None = None,
) -> None:
    """Empty the table and load every row that it takes; the others, and all if it does not exist, go to `missing`.

    Raise `DatabaseError` if the server can do no more.
    """
    name = TableName(table.schema_name, table.name)
    batch = _Batches(connection, name, tuple(table.columns or ()), missing)
    batch.empty(emptied_by or connection)
    for lines in _batches(copy_text(snapshot, table)):
        batch.load(lines)


@dataclass(slots=True)
class _Batches:
    """Loads batches of lines into one table; `reason` is why nothing can be loaded into it, if that is so."""

    connection: psycopg.Connection
    name: TableName
    columns: Sequence[str]
    missing: Missing
    reason: str = ""

    def empty(self, connection: psycopg.Connection) -> None:
        try:
            connection.execute(sql.SQL("TRUNCATE ONLY {}").format(self.name.identifier()))
        except psycopg.Error as error:
            self._refused(error)

    def load(self, lines: Sequence[bytes]) -> None:
        """Load the lines that the table takes."""
        if self.reason:
            self.missing.refuse(self.name, self.columns, lines, self.reason)
            return
        try:
            with self.connection.transaction():
                copy_in(self.connection, self.name, self.columns, lines)
        except psycopg.Error as error:
            reason = self._refused(error)
            if len(lines) == 1 or self.reason:
                self.missing.refuse(self.name, self.columns, lines, reason)
                return
        else:
            return
        middle = len(lines) // 2
        self.load(lines[:middle])
        self.load(lines[middle:])

    def _refused(self, error: psycopg.Error) -> str:
        """Return why, and note it if it goes for every row; raise if it is the server that can do no more."""
        with database_errors(f"cannot load rows into {self.name}"):
            if self.connection.closed or is_of_the_server(error):
                raise error
        reason = error_text(error)
        if isinstance(error, _NO_TABLE):
            self.reason = reason
        return reason


def _batches(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield COPY text in lists of whole lines with their ends, which together have not many bytes."""
    batch: list[bytes] = []
    size = 0
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            batch.append(line + b"\n")
            size += len(line) + 1
            if size >= _BATCH_BYTES or len(batch) >= _BATCH_LINES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch
