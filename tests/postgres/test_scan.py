"""The query for many ranges of pages: what it reads, and how the server goes about it."""

from __future__ import annotations

import psycopg
import pytest

from permafrost.postgres.catalog import TableName
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.postgres.scan import ranges_query, scan_pages, scan_ranges, tids_of

TABLE = LoggedTable(1, TableName("public", "t"), 1, 0, ("i", "text"), "", is_in_wal=True)


@pytest.fixture
def connection(newer_database: str) -> psycopg.Connection:
    """A connection to a database with a table of some 1,400 pages."""
    connection = psycopg.connect(newer_database, autocommit=True)
    connection.execute("CREATE TABLE t (i int, text text)")
    connection.execute("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i")
    connection.execute("ANALYZE t")
    return connection


@pytest.mark.parametrize("count", [1, 10_000])
def test_plan(connection: psycopg.Connection, count: int) -> None:
    """However many ranges there are, the server reads each by itself and never the whole table."""
    with connection:
        begins, ends = tids_of(range(count)), tids_of(range(1, count + 1))
        rows = connection.execute(b"EXPLAIN " + ranges_query(TABLE).as_bytes(connection), (begins, ends)).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "Nested Loop" in plan
    assert "Tid Range Scan on t" in plan
    assert "Seq Scan" not in plan


def test_ranges(connection: psycopg.Connection) -> None:
    """Several ranges give the rows that each of them gives alone, and those past the table's end none."""
    with connection:
        apart = scan_pages(connection, TABLE, 3, 5) + scan_pages(connection, TABLE, 700, 701)
        together = scan_ranges(connection, TABLE, [(3, 5), (700, 701), (5000, 5002)])
    assert len(apart) > 300
    assert sorted(apart[at : at + 10] for at in range(0, len(apart), 10)) == sorted(
        together[at : at + 10] for at in range(0, len(together), 10)
    )
