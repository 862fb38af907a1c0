"""A mark in a server's history, from which a later run knows that the history is the same.

A mark is a few dozen empty transactions, each committed or rolled back as a random number says. PostgreSQL
remembers which of them was which until all older rows are frozen, carries it to standbys and base backups, and answers
anyone who asks (manual, "Transaction ID and Snapshot Information Functions", pg_xact_status). In any other history
these numbers are not given yet, or were given to other transactions, with another pattern of ends: the same one by
accident once in 2^40 times.

What the mark proves: its transactions come after every row version that the run has seen, so a server that has the
mark has gone through that moment, and every transaction number up to the mark is used up. A row version with such
a number at the same place is the one that was seen.

It needs no privilege beyond connecting, and changes no table. The last transaction is committed to the local disk, and
with it everything that was written before it.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

import psycopg
from psycopg import pq

from permafrost.postgres.connection import database_errors

_TRANSACTIONS = 40
_ONE = """BEGIN READ WRITE; SET LOCAL synchronous_commit = {wait};
    SELECT pg_current_xact_id()::text::int8, pg_logical_emit_message(true, 'permafrost', ''); {end};"""

Mark = dict[str, list[int]]
"""Transaction numbers, 64 bits wide, by how they ended: `committed` and `aborted`."""


def leave_mark(connection: psycopg.Connection) -> Mark | None:
    """Return a new mark, durable on the server's disk; None if the server lets nobody write, as a standby.

    The connection, which commits by itself, may be in a transaction that only reads: that ends before.
    """
    ends = [secrets.choice(("committed", "aborted")) for _ in range(_TRANSACTIONS)] + ["committed"]
    script = "".join(
        _ONE.format(
            wait="local" if number == _TRANSACTIONS else "off", end="COMMIT" if end == "committed" else "ROLLBACK"
        )
        for number, end in enumerate(ends)
    )
    mark: Mark = {"committed": [], "aborted": []}
    try:
        _end_transaction(connection)
        cursor = connection.execute(script)  # one message: forty round trips would take longer than the work
        numbers = []
        has_more: bool | None = True
        while has_more:
            if cursor.description is not None:
                numbers += [int(row[0]) for row in cursor.fetchall()]
            has_more = cursor.nextset()
    except psycopg.Error:
        with suppress(psycopg.Error):
            _end_transaction(connection)
        return None
    for number, end in zip(numbers, ends, strict=True):
        mark[end].append(number)
    return mark


def _end_transaction(connection: psycopg.Connection) -> None:
    if connection.info.transaction_status != pq.TransactionStatus.IDLE:
        connection.execute("ROLLBACK")


def has_mark(connection: psycopg.Connection, mark: Mark) -> bool:
    """Return whether the server's history has gone through the moment at which `mark` was left.

    Also false if the mark is so old that the server has forgotten how its transactions ended.
    """
    committed, aborted = mark["committed"], mark["aborted"]
    numbers = [*committed, *aborted]
    with database_errors("cannot look for the last run's mark in the server's history"):
        row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8").fetchone()
        if row is None or not numbers or max(numbers) >= row[0]:
            return False  # a number that is not given yet; asking for it would be an error
        found = connection.execute(
            """SELECT n, pg_xact_status(n::text::xid8) FROM unnest(%s::int8[]) AS n""", (numbers,)
        ).fetchall()
    return dict(found) == {**dict.fromkeys(committed, "committed"), **dict.fromkeys(aborted, "aborted")}
