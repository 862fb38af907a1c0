"""Which blocks of which files the server's WAL has touched, as its own summaries say (PostgreSQL 17, summarize_wal).

The server writes a summary for the WAL between two checkpoints. So a checkpoint is asked for, and then the summarizer
waited for, before what has been written until now can be known. What is listed may not have changed; what is not listed
has not, unless it lies at or past the file's limit: the file was cut there meanwhile, and blocks that were changed
before that are not listed any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.postgres.connection import database_errors, server_major
from permafrost.postgres.error_text import first_line
from permafrost.postgres.version import SUMMARIZING_MAJOR

CHECKPOINT_S = 30
SUMMARIZER_S = 20.0
_POLL_S = 0.005
_WHOLE_DATABASE = 0
"""The file number under which a summary says that every file of a database was made again (walsummarizer.c)."""


@dataclass(frozen=True, slots=True)
class TouchedFile:
    """What the WAL did to a file: `blocks` that it touched (8 bytes each, big-endian, in any order, also twice), and
    the lowest block at which the file was cut or made, None if it was not."""

    blocks: bytes = b""
    limit: int | None = None


class NoSummariesError(Exception):
    """The summaries do not say what was touched; the message says why, for an admin."""


class SummariesGapError(NoSummariesError):
    """The summaries do not cover all of the WAL that was asked for."""


def check_summarizing(connection: psycopg.Connection) -> None:
    """Raise `NoSummariesError` if the server does not summarize its WAL, or will not let us complete the summary."""
    major = server_major(connection)
    if major < SUMMARIZING_MAJOR:
        raise NoSummariesError(f"PostgreSQL {major} cannot summarize its WAL, {SUMMARIZING_MAJOR} and newer can")
    with database_errors("cannot ask whether the server summarizes its WAL"):
        row = connection.execute(
            """SELECT pg_is_in_recovery(), current_setting('summarize_wal')::bool,
                pg_has_role('pg_checkpoint', 'USAGE'), current_user"""
        ).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    is_standby, is_summarizing, may_checkpoint, role = row
    if is_standby:
        raise NoSummariesError("this server is a standby, whose summaries end at its primary's checkpoints")
    if not is_summarizing:
        raise NoSummariesError(
            "the server does not summarize its WAL (as a superuser: ALTER SYSTEM SET summarize_wal "
            "= on; SELECT pg_reload_conf())"
        )
    if not may_checkpoint:
        raise NoSummariesError(
            f"the role {role} may not start a checkpoint (as a superuser: GRANT pg_checkpoint TO {role})"
        )


def summarize_until(
    connection: psycopg.Connection,
    end: int,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the server has summarized its WAL up to `end`, which has been written already.

    Raise `NoSummariesError` if that takes too long. The connection is used for this alone.
    """
    try:
        connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(f"{CHECKPOINT_S}s")))
        if _is_summarized(connection, end):
            return
        connection.execute("CHECKPOINT")  # its redo point is at `end` or later, and it wakes the summarizer
        deadline = clock() + SUMMARIZER_S
        while not _is_summarized(connection, end):
            if clock() > deadline:
                raise NoSummariesError(f"the server's WAL summarizer has not come that far in {SUMMARIZER_S:.0f} s")
            pause(_POLL_S)
    except psycopg.errors.QueryCanceled as error:
        raise NoSummariesError(f"a checkpoint took longer than {CHECKPOINT_S} s") from error
    except psycopg.Error as error:
        raise NoSummariesError(f"the server cannot complete its WAL summary: {first_line(error)}") from error


def _is_summarized(connection: psycopg.Connection, end: int) -> bool:
    row = connection.execute(
        "SELECT summarized_lsn - '0/0'::pg_lsn >= %s FROM pg_get_wal_summarizer_state()", (end,)
    ).fetchone()
    return row is not None and bool(row[0])


def touched_files(
    connection: psycopg.Connection, *, timeline: int, start: int, end: int, files: Iterable[int]
) -> Mapping[int, TouchedFile]:
    """Return what the WAL from `start` to `end` did to those of the database's `files` that it touched, by number.

    Raise `SummariesGapError` unless the summaries of this timeline cover all of it, `NoSummariesError` if they cannot
    be read.
    """
    try:
        summaries = connection.execute(
            """SELECT start_lsn::text, end_lsn::text, start_lsn - '0/0'::pg_lsn, end_lsn - '0/0'::pg_lsn
            FROM pg_available_wal_summaries()
            WHERE tli = %s AND end_lsn - '0/0'::pg_lsn > %s AND start_lsn - '0/0'::pg_lsn < %s""",
            (timeline, start, end),
        ).fetchall()
        if not has_no_gap([(int(begins), int(ends)) for _, _, begins, ends in summaries], start, end):
            raise SummariesGapError("the server's WAL summaries do not reach back to the last run without a gap")
        rows = connection.execute(
            """SELECT c.relfilenode::int8, min(c.relblocknumber) FILTER (WHERE c.is_limit_block),
                coalesce(string_agg(int8send(c.relblocknumber), ''::bytea) FILTER (WHERE NOT c.is_limit_block), '')
            FROM unnest(%s::pg_lsn[], %s::pg_lsn[]) AS s(begins, ends),
                LATERAL pg_wal_summary_contents(%s, s.begins, s.ends) AS c
            WHERE c.reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND c.relforknumber = 0 AND (c.relfilenode = %s OR c.relfilenode = ANY(%s::oid[]))
            GROUP BY c.relfilenode""",
            ([row[0] for row in summaries], [row[1] for row in summaries], timeline, _WHOLE_DATABASE, list(files)),
            binary=True,
        ).fetchall()
    except psycopg.Error as error:
        raise NoSummariesError(f"a WAL summary cannot be read: {first_line(error)}") from error
    if any(number == _WHOLE_DATABASE for number, _, _ in rows):
        raise NoSummariesError("the whole database was copied or moved to another tablespace")
    return {number: TouchedFile(bytes(blocks), limit) for number, limit, blocks in rows}


def has_no_gap(summaries: Iterable[tuple[int, int]], start: int, end: int) -> bool:
    """Return whether summaries, each from a WAL position to another, cover all from `start` to `end`."""
    covered = start
    for begins, ends in sorted(summaries):
        if begins > covered:
            return False
        covered = max(covered, ends)
    return covered >= end
