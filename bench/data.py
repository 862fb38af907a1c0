"""A Mastodon-like database of about a given size, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import psycopg

from bench.programs import BenchError
from bench.results import Data
from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.digest import TableContents, digest_rows
from permafrost.postgres.programs.scratch import ScratchCluster
from samples.database import create_database, load

DATABASE = "mastodon_production"
STATUSES_PER_ACCOUNT = 20
# measured on PostgreSQL 15: an empty one, and what each status adds with all that hangs on it
_EMPTY_BYTES = 16_000_000
_BYTES_PER_STATUS = 1_460


def rows_for(size_bytes: int) -> tuple[int, int]:
    """Return how many accounts and statuses make a database of about that size."""
    statuses = max(400, round((size_bytes - _EMPTY_BYTES) / _BYTES_PER_STATUS))
    return max(20, statuses // STATUSES_PER_ACCOUNT), statuses


def make_database(cluster: ScratchCluster, size_bytes: int) -> Data:
    """Make and fill the database; return what it really takes."""
    accounts, statuses = rows_for(size_bytes)
    create_database(cluster.conninfo("postgres"), DATABASE)
    with psycopg.connect(cluster.conninfo(DATABASE)) as connection:
        load(connection, accounts=accounts, statuses=statuses)
    return settled(cluster.conninfo(DATABASE), statuses)


def settled(conninfo: str, statuses: int = 0) -> Data:
    """Vacuum and analyse a database that was just filled, write it out, and return what it takes."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # or the first to read would do it for all others
        connection.execute("CHECKPOINT")
        row = connection.execute(
            """SELECT pg_database_size(current_database()), sum(pg_relation_size(oid)) FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""
        ).fetchone()
    size, heap = (int(one) for one in row) if row else (0, 0)
    rows = sum(table.rows for table in contents(conninfo).values())
    return Data(size, heap, rows, statuses)


def contents(conninfo: str) -> Mapping[TableName, TableContents]:
    """Return row count and digest of every table."""
    with psycopg.connect(conninfo) as connection:
        return {table: digest_rows(connection, table) for table in list_tables(connection)}


def check_equal(source: str, restored: str) -> tuple[int, int]:
    """Return how many tables and rows both databases have; raise `BenchError` if any table's rows differ.

    Every row of every table is read on both sides, side by side.
    """
    with ThreadPoolExecutor(2) as readers:
        original, found = readers.map(contents, (source, restored))
    different = sorted(
        str(table) for table in original.keys() | found.keys() if original.get(table) != found.get(table)
    )
    if different:
        raise BenchError(f"other rows were restored than were backed up: {', '.join(different)}")
    return len(found), sum(table.rows for table in found.values())
