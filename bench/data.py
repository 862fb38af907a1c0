"""A Mastodon-like database of about a given size, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.digest import TableContents, digest_rows
from permafrost.postgres.scratch import ScratchCluster
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


def make_database(cluster: ScratchCluster, size_bytes: int) -> tuple[int, int]:
    """Make and fill the database; return how many bytes it really takes, and how many statuses it has."""
    accounts, statuses = rows_for(size_bytes)
    create_database(cluster.conninfo("postgres"), DATABASE)
    with psycopg.connect(cluster.conninfo(DATABASE)) as connection:
        load(connection, accounts=accounts, statuses=statuses)
    with psycopg.connect(cluster.conninfo(DATABASE), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # or the first to read would do it for all others
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0, statuses


def contents(conninfo: str) -> Mapping[TableName, TableContents]:
    """Return row count and digest of every table."""
    with psycopg.connect(conninfo) as connection:
        return {table: digest_rows(connection, table) for table in list_tables(connection)}
