"""Tables of which PostgreSQL refuses a row: the load stops there, or they are loaded again, row by row, in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock

from permafrost.errors import DatabaseError
from permafrost.repository.manifest import Table

RefusedTables = Callable[[Table, DatabaseError], None]
"""Hears of a table and of why a row of it was refused, from any thread. What the table then holds means nothing."""


def stop_at_a_refused_row(_table: Table, error: DatabaseError) -> None:
    """Raise the error: the load must be whole."""
    raise error


class TablesToLoadAgain:
    """Collects the tables of which a row was refused, each once."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str], Table] = {}
        self._lock = Lock()

    def add(self, table: Table, error: DatabaseError) -> None:
        """Take a table: a `RefusedTables`. Why will be said of each row."""
        del error
        with self._lock:
            self._tables[table.schema_name, table.name] = table

    def __iter__(self) -> Iterator[Table]:
        """Yield the tables in order of name."""
        yield from (self._tables[name] for name in sorted(self._tables))
