"""What all rows share: the span of time they lie in, ids that embed time, and the way into a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any

import psycopg
from psycopg import sql

LOCAL_DOMAIN = "mastodon.example"
BEGAN_MS = int(datetime(2024, 11, 2, 10, tzinfo=UTC).timestamp() * 1000)
UNTIL_MS = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)

Connection = psycopg.Connection[Any]
Row = Mapping[str, object]


def copy_rows(connection: Connection, table: str, rows: Iterable[Row]) -> None:
    """Add `rows` to `table`; all of them have the columns of the first, in its order."""
    several = iter(rows)
    first = next(several, None)
    if first is None:
        return
    command = _copy_command(table, tuple(first))
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        copy.write_row(tuple(first.values()))
        for row in several:
            copy.write_row(tuple(row.values()))


@cache
def _copy_command(table: str, columns: tuple[str, ...]) -> bytes:
    named = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), named).as_bytes()


def snowflake(rng: Random, milliseconds: int) -> int:
    """Return an id as `timestamp_id` makes it for that moment."""
    return (milliseconds << 16) | rng.getrandbits(16)


def moment(milliseconds: int) -> datetime:
    """Return the UTC time of `milliseconds` since 1970; into a column without time zone goes its UTC reading."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def zipf(count: int, exponent: float = 1.0) -> list[float]:
    """Return the cumulative weights of `count` things of which the n-th is chosen 1/n^exponent as often."""
    return list(accumulate(1 / (n + 1) ** exponent for n in range(count)))
