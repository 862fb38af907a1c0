"""What an hour changed in a database, found without permafrost: the measure that its bytes are judged by.

Before the hour a transaction number is taken. Afterwards the row versions that are visible and were made by a later
transaction are exactly the new ones: their `xmin` is younger than that number. (PostgreSQL shows a row's own `xmin`
even when it is frozen.) Their COPY text, table after table in one stream, is compressed at once by zstd level 3.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import zstandard
from psycopg import sql

from bench.results import Changes
from permafrost.postgres.catalog import list_tables


class ChangeMeasure:
    """Remembers a moment of the database, and finds what has changed since."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        with psycopg.connect(conninfo) as connection:
            row = connection.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
            self._mark = row[0] if row else ""
            self._rows = _count_rows(connection)

    def since(self) -> Changes:
        """Return what changed since this was made; nothing else may write meanwhile."""
        with psycopg.connect(self._conninfo) as connection:
            text_bytes = lines = zstd_bytes = 0
            compressor = zstandard.ZstdCompressor(level=3).compressobj()
            for chunk in self._new_text(connection):
                text_bytes += len(chunk)
                lines += chunk.count(b"\n")
                zstd_bytes += len(compressor.compress(chunk))
            zstd_bytes += len(compressor.flush())
            gone = self._rows + lines - _count_rows(connection)
        return Changes(lines, gone, text_bytes, zstd_bytes)

    def _new_text(self, connection: psycopg.Connection) -> Iterator[bytes]:
        for table in list_tables(connection):
            query = sql.SQL("COPY (SELECT * FROM ONLY {} AS t WHERE age(t.xmin) < age({}::xid)) TO STDOUT").format(
                table.identifier(), sql.Literal(self._mark)
            )
            with connection.cursor() as cursor, cursor.copy(query) as copy:
                yield from map(bytes, copy)


def _count_rows(connection: psycopg.Connection) -> int:
    total = 0
    for table in list_tables(connection):
        row = connection.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(table.identifier())).fetchone()
        total += row[0] if row else 0
    return total
