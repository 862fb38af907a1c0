"""One table of a snapshot under another name: created, filled and compared in one transaction."""

from __future__ import annotations

import psycopg
from psycopg import sql

from permafrost.errors import IntegrityError
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.table_rows import copy_text
from permafrost.postgres.building.copy_in import copy_in
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import database_errors
from permafrost.postgres.digest import digest_rows
from permafrost.postgres.table_definition import ColumnDefinition, create_table, set_defaults
from permafrost.repository.manifest import Table


def load_table(
    connection: psycopg.Connection,
    snapshot: OpenedSnapshot,
    table: Table,
    name: TableName,
    columns: tuple[ColumnDefinition, ...],
) -> tuple[str, ...]:
    """Make `table` as `name`, with its rows and the columns' defaults; return the columns whose defaults were left out.

    It is there whole or not at all. An audited table's rows are compared with the snapshot, if both databases have
    the same encoding. Raise `IntegrityError` if the rows are not the snapshot's.
    """
    readable = tuple(column.name for column in columns if not column.generated)
    if table.columns is not None and table.columns != readable:
        raise IntegrityError(f"the snapshot's definition of {table.name} and its rows do not match")
    encoding = snapshot.manifest.database.encoding
    here = connection.info.parameter_status("server_encoding")
    is_same = "SQL_ASCII" in (encoding, here) or encoding == here
    with database_errors(f"cannot load {name}"), connection.transaction():
        create_table(connection, name, columns)
        if not is_same:
            connection.execute(sql.SQL("SET LOCAL client_encoding = {}").format(sql.Literal(encoding)))
        copy_in(connection, name, readable, copy_text(snapshot, table))
        if table.digest is not None and is_same and digest_rows(connection, name).digest != table.digest:
            raise IntegrityError(
                f"the rows of {name} differ from the snapshot",
                unchanged="the database",
                hint="restore another snapshot, and please report this; it is the most serious problem permafrost can "
                "detect",
            )
        return set_defaults(connection, name, columns)
