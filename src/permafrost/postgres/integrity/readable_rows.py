"""Rows that can be read, and that hold text: each is read whole, once, and its text held against the encoding.

A page that a disk has spoilt, or a large value that is gone, breaks off every backup. Bytes that are no text in the
database's encoding are handed out as they are, and refused by the database that they are restored to. PostgreSQL says
of neither where it lies, so that a table in which something is wrong is halved until the rows are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName
from permafrost.postgres.error_text import first_line
from permafrost.postgres.integrity.rules import Outcome, Unexamined, Violation

_MOST_ROWS = 5
_MOST_QUERIES = 400
_RULE = "rows"
_BETWEEN = sql.SQL("{} WHERE t.ctid >= {}::tid AND t.ctid < {}::tid")


def examine_rows(connection: psycopg.Connection, table: TableName) -> Outcome:
    """Return which rows cannot be read, or hold what is no text; within a transaction."""
    reading = _reading(connection, table)
    reason = _problem(connection, reading)
    if reason is None:
        return None
    if isinstance(reason, psycopg.errors.InsufficientPrivilege):
        return Unexamined("readable-rows", table, _RULE, first_line(reason))
    search = _Search(connection, table, reading)
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL enable_seqscan = off")  # a scan of the ctid's range leaves other pages alone
        found = tuple(search.rows())
    shown = sql.SQL("SELECT ctid FROM ONLY {} WHERE ctid = ANY ({}::tid[])").format(
        table.identifier(), sql.Literal([place for place in found if "," in place])
    )
    samples = tuple(place if "," in place else f"page {place}" for place in found)
    query = f"{shown.as_string(connection)};"
    return Violation("readable-rows", table, _RULE, max(1, len(found)), samples, query, first_line(reason))


def _reading(connection: psycopg.Connection, table: TableName) -> sql.Composed:
    """Return the query that reads every value of a table as text; the conversion refuses what is no text."""
    columns = connection.execute(
        """SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped""",
        (table.schema, table.name),
    ).fetchall()
    row = sql.SQL(", ").join(sql.Identifier("t", name) for (name,) in columns)
    return sql.SQL("SELECT count(convert_to(ROW({})::text, getdatabaseencoding())) FROM ONLY {} AS t").format(
        row, table.identifier()
    )


def _problem(connection: psycopg.Connection, query: sql.Composed) -> psycopg.Error | None:
    """Return why a query fails, None if it does not; raise if the connection is gone."""
    try:
        with connection.transaction():
            connection.execute(query)
    except psycopg.Error as error:
        if connection.closed:
            raise
        return error
    return None


@dataclass(slots=True)
class _Search:
    """The search for the rows of one table, which ends when enough are found or enough was asked."""

    connection: psycopg.Connection
    table: TableName
    reading: sql.Composed
    queries: int = field(default=0)
    found: int = field(default=0)

    def rows(self) -> Iterator[str]:
        """Yield the ctid of each row that cannot be read, the number of a page that cannot be listed."""
        row = self.connection.execute(
            "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int",
            (self.table.identifier().as_string(self.connection),),
        ).fetchone()
        yield from self._among(0, int(row[0]) if row else 0)

    def _is_over(self) -> bool:
        self.queries += 1
        return self.queries > _MOST_QUERIES or self.found >= _MOST_ROWS

    def _among(self, first: int, end: int) -> Iterator[str]:
        """Yield what is wrong on the pages from `first` up to `end`."""
        if first >= end or self._is_over():
            return
        if _problem(self.connection, _BETWEEN.format(self.reading, f"({first},0)", f"({end},0)")) is None:
            return
        if end - first == 1:
            yield from self._on_page(first)
            return
        middle = (first + end) // 2
        yield from self._among(first, middle)
        yield from self._among(middle, end)

    def _on_page(self, page: int) -> Iterator[str]:
        listing = sql.SQL("SELECT t.ctid::text FROM ONLY {} AS t").format(self.table.identifier())
        try:
            with self.connection.transaction():
                on_page = _BETWEEN.format(listing, f"({page},0)", f"({page + 1},0)")
                places = self.connection.execute(on_page).fetchall()
        except psycopg.Error:
            self.found += 1
            yield str(page)
            return
        for (place,) in places:
            if self.found >= _MOST_ROWS:
                return
            one = sql.SQL("{} WHERE t.ctid = {}::tid").format(self.reading, place)
            if _problem(self.connection, one) is not None:
                self.found += 1
                yield place
