"""A restore into a database that somebody has made, for a role that may make none.

It is loaded under its own name, so nothing of the snapshot's may be in it before. What else is in it, such as a hosting
provider's extensions and tables, stays. It is never dropped: if the restore fails, it has to be emptied by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from permafrost.errors import PermafrostError, RestoreRefusedError
from permafrost.events import Reporter
from permafrost.loading.preflight import Target
from permafrost.loading.working_database import WorkingDatabase
from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.repository.manifest import DatabaseFacts, Manifest


@dataclass(slots=True)
class ExistingDatabase(WorkingDatabase):
    """The database under way, which was there before and keeps its name."""

    def make(self, report: Reporter) -> None:
        """See whether the snapshot's extensions are in it or can be created in it."""
        self._try_extensions(report)


def check_existing(server: str, target: Target, manifest: Manifest) -> None:
    """Raise `RestoreRefusedError` unless the database has the snapshot's encoding, and none of its tables."""
    with connected(conninfo_for(server, dbname=target.database)) as connection:
        encoding = connection.info.parameter_status("server_encoding")
        there = set(list_tables(connection))
    if encoding != manifest.database.encoding:
        wanted = manifest.database.encoding
        raise RestoreRefusedError(
            f"the database {target.database} has the encoding {encoding}, and the snapshot {wanted}",
            unchanged="everything",
            hint=f"make it with: CREATE DATABASE ... TEMPLATE template0 ENCODING '{wanted}'",
        )
    taken = [
        table for expected in manifest.tables if (table := TableName(expected.schema_name, expected.name)) in there
    ]
    if taken:
        raise RestoreRefusedError(
            f"the database {target.database} is not empty: it has {_some(taken)}",
            unchanged="everything",
            hint="restore into an empty one, such as one just made in the provider's console",
        )


@contextmanager
def existing_database(
    connection: psycopg.Connection, server: str, target: Target, facts: DatabaseFacts
) -> Iterator[WorkingDatabase]:
    """Yield the database to load; if the block fails, the error says that it has to be emptied."""
    try:
        yield ExistingDatabase(connection, server, target, facts, target.database)
    except PermafrostError as error:
        error.unchanged = error.unchanged or f"nothing in {target.database}: empty it before you restore into it again"
        raise


def _some(tables: Sequence[TableName]) -> str:
    return ", ".join(map(str, tables[:3])) + (f" and {len(tables) - 3} more of its tables" if len(tables) > 3 else "")
