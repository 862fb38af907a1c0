"""COPY TO STDOUT by libpq's own calls.

The server sends one message a row, and psycopg's `Copy` runs a generator for each: 0.6 microseconds a row, which of
millions of short rows is more than compressing them takes. Here the rows that have arrived are taken in a loop of the
one call that libpq has for it, less than half of that (`bench`, first backup).
"""

from __future__ import annotations

import select
from collections.abc import Iterator

import psycopg
from psycopg import errors, pq, sql

_ENDED = -1


def copy_out(connection: psycopg.Connection, query: sql.Composed, at_least_bytes: int) -> Iterator[bytes]:
    """Yield what COPY `query` sends, in chunks of whole rows; only the last may be smaller than `at_least_bytes`.

    Raise `psycopg.Error` as a cursor would. If the caller gives up half-way, the query is cancelled.
    """
    libpq = connection.pgconn
    _expect(connection, libpq.exec_(query.as_bytes(connection)), pq.ExecStatus.COPY_OUT)
    arrives = select.poll()
    arrives.register(libpq.socket, select.POLLIN)
    waiting: list[bytes] = []
    size = 0
    is_ended = False
    try:
        while not is_ended:
            count, row = libpq.get_copy_data(1)
            if count > 0:
                waiting.append(bytes(row))
                size += count
                if size >= at_least_bytes:
                    yield b"".join(waiting)
                    waiting, size = [], 0
            elif count == 0:
                arrives.poll()
                libpq.consume_input()
            else:
                is_ended = True
                for result in iter(libpq.get_result, None):
                    _expect(connection, result, pq.ExecStatus.COMMAND_OK)
        if waiting:
            yield b"".join(waiting)
    finally:
        if not is_ended:
            _give_up(connection)


def _expect(connection: psycopg.Connection, result: pq.abc.PGresult, status: pq.ExecStatus) -> None:
    if result.status != status:
        encoding = connection.info.encoding
        for _ in iter(connection.pgconn.get_result, None):
            pass
        raise errors.error_from_result(result, encoding=encoding)


def _give_up(connection: psycopg.Connection) -> None:
    """Cancel the query and read its end, so that the connection can be used, or closed, again."""
    libpq = connection.pgconn
    if libpq.status != pq.ConnStatus.OK:
        return
    connection.cancel()
    while libpq.get_copy_data(0)[0] != _ENDED:
        pass
    for _ in iter(libpq.get_result, None):
        pass
