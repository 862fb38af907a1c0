"""COPY FROM STDIN: rows as text into a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName


def copy_in(
    connection: psycopg.Connection,
    table: TableName,
    columns: Sequence[str],
    pieces: Iterable[bytes],
    *,
    is_frozen: bool = False,
) -> None:
    """Load COPY text, in pieces of any size, into these `columns` of a table.

    Rows may only be frozen in a transaction that has made or emptied the table (manual, COPY, FREEZE). Raise
    `psycopg.Error` if a row is refused.
    """
    listed = sql.SQL("({})").format(sql.SQL(", ").join(sql.Identifier(column) for column in columns))
    query = sql.SQL("COPY {} {} FROM STDIN{}").format(
        table.identifier(), listed if columns else sql.SQL(""), sql.SQL(" (FREEZE)" if is_frozen else "")
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for piece in pieces:
            copy.write(piece)
