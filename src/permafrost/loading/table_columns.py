"""The columns of a snapshot's table, read from a temporary database that contains only the definitions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from permafrost.errors import PermafrostError, RestoreRefusedError
from permafrost.loading.frame import frame_loader
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.postgres.building.provision import (
    NewDatabase,
    create_database,
    database_exists,
    drop_database,
    is_unfinished_restore,
    name_with_suffix,
)
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.table_definition import ColumnDefinition, read_columns

_SUFFIX = "_permafrost_definitions"


def snapshot_columns(
    snapshot: OpenedSnapshot, table: TableName, server: str, database: str
) -> tuple[ColumnDefinition, ...]:
    """Return the columns of `table` as the snapshot's frame defines them.

    The database of definitions is made on `server`, under a name like that of `database`. Raise `RestoreRefusedError`
    if somebody else's database has it.
    """
    name = name_with_suffix(database, _SUFFIX)
    encoding = snapshot.manifest.database.encoding
    with connected(conninfo_for(server)) as connection, _temporary_database(connection, name, encoding):
        conninfo = conninfo_for(server, dbname=name)
        with frame_loader(snapshot, conninfo, with_owners=False, with_tablespaces=False, jobs=1) as frame:
            frame.load_definitions()
        with connected(conninfo) as definitions:
            return read_columns(definitions, table)


@contextmanager
def _temporary_database(connection: psycopg.Connection, name: str, encoding: str) -> Iterator[None]:
    """Make an empty database for the block; what a killed run left under its name is dropped before."""
    if database_exists(connection, name):
        if not is_unfinished_restore(connection, name):
            raise RestoreRefusedError(
                f"the database {name}, which permafrost uses to read definitions, exists and is not permafrost's",
                unchanged="everything",
                hint="rename it",
            )
        drop_database(connection, name)
    wanted = NewDatabase(name, None, encoding, "C", "C", "c", None)
    create_database(connection, wanted)
    try:
        yield
    except BaseException:
        with suppress(PermafrostError):
            drop_database(connection, name)
        raise
    drop_database(connection, name)
