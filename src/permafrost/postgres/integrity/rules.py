"""What a database promises about its rows, what was found against it, and how it is looked at.

A damaged index hides rows from every query that uses it, so that a promise is only ever held against what the tables
themselves hold: no query here may use an index (`without_indexes`). Whatever is wrong is described with the SQL that
shows it, which switches indexes off too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName

RuleKind = Literal["unique-index", "exclusion", "foreign-key", "readable-rows"]

MOST_SAMPLES = 20
_SAMPLE_CHARACTERS = 200
_NO_INDEXES = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")

# what initdb made keeps its promises or nothing works; temporary tables are others' own
OWN_SCHEMAS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


@dataclass(frozen=True, slots=True)
class Violation:
    """Rows of a table that break a rule; `rule` is the name of its index or constraint.

    `count` counts what `samples` shows at most `MOST_SAMPLES` of: keys that stand in several rows, keys that refer to
    nothing, pairs of rows that exclude each other, rows that cannot be read. `query` is SQL that lists them for psql.
    `reason` is PostgreSQL's own word on it, if it has one.
    """

    kind: RuleKind
    table: TableName
    rule: str
    count: int
    samples: tuple[str, ...]
    query: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unexamined:
    """A rule that could not be looked at, and why."""

    kind: RuleKind
    table: TableName
    rule: str
    reason: str


Outcome = Violation | Unexamined | None
"""Of one rule: None if it holds."""


@contextmanager
def without_indexes(connection: psycopg.Connection) -> Iterator[None]:
    """Run the block in a read-only transaction whose queries read tables, never an index, and see one moment."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for setting in _NO_INDEXES:
            connection.execute(f"SET LOCAL {setting} = off")
        yield


def shown_text(expression: sql.Composable) -> sql.Composed:
    """Return an expression's text in SQL, cut off where a sample has told enough."""
    return sql.SQL("left(({})::text, {})").format(expression, sql.Literal(_SAMPLE_CHARACTERS))


def for_psql(connection: psycopg.Connection, query: sql.Composable) -> str:
    """Return a query as text that a person can run in psql, where indexes must not answer it either."""
    settings = "".join(f"SET {setting} = off; " for setting in _NO_INDEXES)
    return f"{settings}{query.as_string(connection)};"
