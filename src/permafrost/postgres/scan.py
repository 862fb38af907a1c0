"""Scans a segment for its visible row versions, and reads rows as COPY text by page range or by ctid.

One cheap query a page range: TID range scans (PostgreSQL 14) read only those pages, in order. Both ways of reading
give rows in order of ctid: a TID range scan by its nature, a TID scan because it sorts its list (the source's
nodeTidscan.c; the model test compares).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import psycopg
from psycopg import sql

from permafrost.errors import DatabaseError
from permafrost.postgres.connection import database_errors
from permafrost.postgres.copy_out import copy_out
from permafrost.postgres.loggable_tables import LoggedTable

SCAN_PAGES = 2048
"""Pages in one query: an answer of narrow rows then stays below 5 MB."""
_CTIDS_AT_ONCE = 20_000
_CHUNK_BYTES = 1 << 18

WHOLE_TABLE_ROWS = 500_000
"""A table of no more rows than this may be scanned in one query, whatever its pages; the answer is 5 MB then, too."""

_SCAN = sql.SQL("SELECT count(*), coalesce(string_agg(tidsend(ctid) || xidsend(xmin), ''::bytea), '') FROM ONLY {}")
# OFFSET 0 keeps the inner query from being merged with the outer one, which would be a sequential scan a range
_RANGES = sql.SQL(
    "SELECT count(*), coalesce(string_agg(tidsend(l.place) || xidsend(l.writer), ''::bytea), '') "
    "FROM unnest(%s::tid[], %s::tid[]) AS r(begins, ends), LATERAL (SELECT ctid AS place, xmin AS writer FROM ONLY {} "
    "WHERE ctid >= r.begins AND ctid < r.ends OFFSET 0) AS l"
)
_PAGES = sql.SQL(" WHERE ctid >= {}::tid AND ctid < {}::tid")


def scan_pages(connection: psycopg.Connection, table: LoggedTable, first_page: int, end_page: int) -> bytes:
    """Return ctid and xmin of every visible row on the pages, 10 bytes a row, as the server sends them."""
    pages = _PAGES.format(_tid(first_page), _tid(end_page))
    return _scanned(connection, table, _SCAN.format(table.name.identifier()) + pages)


def scan_table(connection: psycopg.Connection, table: LoggedTable) -> bytes:
    """Return the same of every row of the table.

    A sequential scan takes an eighth less than one by pages, as no row's place has to be compared, and goes through a
    small ring of the server's buffers instead of pushing out what others use.
    """
    return _scanned(connection, table, _SCAN.format(table.name.identifier()))


def scan_ranges(connection: psycopg.Connection, table: LoggedTable, ranges: Sequence[tuple[int, int]]) -> bytes:
    """Return the same of the rows on these ranges of pages, each from a first page to an end page."""
    begins, ends = (tids_of(pages) for pages in zip(*ranges, strict=True))
    return _scanned(connection, table, ranges_query(table), (begins, ends))


def ranges_query(table: LoggedTable) -> sql.Composed:
    """Return the query for ranges; its parameters are the `tids_of` their first and of their end pages."""
    return _RANGES.format(table.name.identifier())


def _scanned(
    connection: psycopg.Connection, table: LoggedTable, query: sql.Composed, parameters: Sequence[str] = ()
) -> bytes:
    with database_errors(f"cannot scan {table.name}"):
        row = connection.execute(query, parameters, binary=True, prepare=False).fetchone()
    if row is None or len(row[1]) != 10 * row[0]:
        raise DatabaseError(f"the scan of {table.name} counted a different number of rows than it listed")
    return bytes(row[1])


def copy_pages(connection: psycopg.Connection, table: LoggedTable, first_page: int, end_page: int) -> Iterator[bytes]:
    """Yield the rows on the pages as COPY text, in order of ctid."""
    query = sql.SQL("COPY (SELECT {} FROM ONLY {} WHERE ctid >= {}::tid AND ctid < {}::tid) TO STDOUT").format(
        _columns(table), table.name.identifier(), _tid(first_page), _tid(end_page)
    )
    yield from _copied(connection, table, query)


def copy_table(connection: psycopg.Connection, table: LoggedTable) -> Iterator[bytes]:
    """Yield all rows of a table as COPY text, in order of ctid; quicker than by pages, and the same."""
    columns = sql.SQL("({})").format(_columns(table)) if table.columns else sql.SQL("")
    yield from _copied(connection, table, sql.SQL("COPY {} {} TO STDOUT").format(table.name.identifier(), columns))


def copy_ctids(connection: psycopg.Connection, table: LoggedTable, ctids: Sequence[str]) -> Iterator[bytes]:
    """Yield the rows at `ctids` (ascending) as COPY text, in that order."""
    for start in range(0, len(ctids), _CTIDS_AT_ONCE):
        some = "{" + ",".join(f'"{ctid}"' for ctid in ctids[start : start + _CTIDS_AT_ONCE]) + "}"
        query = sql.SQL("COPY (SELECT {} FROM ONLY {} WHERE ctid = ANY({}::tid[])) TO STDOUT").format(
            _columns(table), table.name.identifier(), sql.Literal(some)
        )
        yield from _copied(connection, table, query)


def _copied(connection: psycopg.Connection, table: LoggedTable, query: sql.Composed) -> Iterator[bytes]:
    with database_errors(f"cannot read the rows of {table.name}"):
        yield from copy_out(connection, query, _CHUNK_BYTES)


def joined(pieces: Iterable[bytes | bytearray | memoryview], at_least_bytes: int) -> Iterator[bytes]:
    """Yield small pieces joined to chunks of at least that size; only the last may be smaller, and none is cut."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(bytes(piece))
        size += len(piece)
        if size >= at_least_bytes:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _columns(table: LoggedTable) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in table.columns)


def tids_of(pages: Sequence[int]) -> str:
    """Return the places where pages begin as PostgreSQL writes an array of them."""
    return "{" + ",".join(f'"({page},0)"' for page in pages) + "}"


def _tid(page: int) -> sql.Literal:
    return sql.Literal(f"({page},0)")
