"""Reads a database under examination: read-only, and without indexes, which may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from permafrost.mastodon.columns import SCHEMA
from permafrost.postgres.connection import database_errors
from permafrost.postgres.integrity.rules import without_indexes


@contextmanager
def reading(connection: psycopg.Connection) -> Iterator[None]:
    """Run the block in a read-only transaction whose queries read tables, never an index, and see one moment."""
    with database_errors("cannot examine the database"), without_indexes(connection):
        connection.execute(f"SET LOCAL search_path = {SCHEMA}")
        yield
