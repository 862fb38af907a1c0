"""Whether the values in a vault's records are such as a vault writes.

A flipped bit in a time or a name leaves every page of an SQLite file sound, and would end each turn from then on. Such
a file counts as damaged: it is set aside, and the history is found again by what lies there.
"""

from __future__ import annotations

import sqlite3

from permafrost.repository.layout import SnapshotId
from permafrost.state_files import is_time

_MOST = 1 << 62
_SHA256 = "length({0}) = 64 AND {0} NOT GLOB '*[^0-9a-f]*'"
_AMOUNT = f"{{0}} BETWEEN 0 AND {_MOST}"
_RULES = {
    "clock": (is_time("own"), is_time("wall"), f"uptime_s BETWEEN 0 AND {_MOST >> 30}"),
    "snapshots": (
        "is_snapshot(snapshot)",
        is_time("seen_at"),
        f"arrived_at IS NULL OR {is_time('arrived_at')}",
        f"arrived_by_clock IS NULL OR {is_time('arrived_by_clock')}",
        f"list_hash IS NULL OR {_SHA256.format('list_hash')}",
        "state IN ('in flight', 'rejected', 'waiting', 'kept', 'dropped')",
        _AMOUNT.format("objects"),
        _AMOUNT.format("size_bytes"),
    ),
    "objects": (
        _SHA256.format("name"),
        _AMOUNT.format("size_bytes"),
        is_time("verified_at"),
        "is_good IN (0, 1)",
    ),
}


def check_values(database: sqlite3.Connection) -> None:
    """Return if every value is one that a vault may have written; raise `sqlite3.DatabaseError` otherwise."""
    database.create_function("is_snapshot", 1, SnapshotId.is_name, deterministic=True)
    for table, rules in _RULES.items():
        for rule in rules:
            if database.execute(f"SELECT 1 FROM {table} WHERE ({rule}) IS NOT 1 LIMIT 1").fetchone():  # noqa: S608
                raise sqlite3.DatabaseError(f"a value in its table {table} is none that a vault writes")
