"""Indexes and the constraints that are indexes, built the largest table first.

pg_restore builds in parallel too, and would begin with the largest tables, but takes their sizes from the archive's
own rows (PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c, repoint_table_dependencies). A log snapshot's archive has
none, so that it goes by number, and often ends with one worker at a large index while the others have nothing left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from permafrost.errors import DatabaseError
from permafrost.postgres.connection import connected, database_errors
from permafrost.postgres.failures import FailureSink, failures_to, stop_at_first
from permafrost.postgres.programs.sql_script import split_statements

_NAME = rb'(?:"(?:[^"]|"")*"|[^\s".;()]+)'
_INDEX = re.compile(rb"CREATE (?:UNIQUE )?INDEX " + _NAME + rb" ON (?:ONLY )?(" + _NAME + rb"\." + _NAME + rb") USING ")
_CONSTRAINT = re.compile(rb"ALTER TABLE (?:ONLY )?(" + _NAME + rb"\." + _NAME + rb")\s+ADD CONSTRAINT ")
_SETTING = re.compile(rb"SET |SELECT pg_catalog\.set_config\(")
_DEFAULT = re.compile(rb"SET default_\w+ = ")


@dataclass(slots=True)
class IndexBuild:
    """Statements that one session has to run in their order."""

    table: bytes
    is_constraint: bool
    statements: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IndexScript:
    """What every session has to run first, and the builds, in the order in which they should begin."""

    settings: tuple[bytes, ...]
    builds: Sequence[IndexBuild]

    @contextmanager
    def session(self, conninfo: str) -> Iterator[psycopg.Connection]:
        """Yield a connection with the settings of the script; its encoding is the script's."""
        with connected(conninfo) as connection:
            _run(connection, self.settings)
            yield connection


def read_index_script(conninfo: str, script: bytes) -> IndexScript:
    """Return the builds of pg_restore's script: the constraints, then the other indexes, of large tables first.

    Each constraint holds its table for itself, so that all of a table are one build, and come first: whoever builds an
    index of the table later need not wait. Raise `DatabaseError` if the script cannot be read.
    """
    settings, builds = _builds(split_statements(script))
    found = IndexScript(settings, builds)
    with found.session(conninfo) as connection, database_errors("cannot look at the tables that have been loaded"):
        sizes = {table: _size(connection, table) for table in {build.table for build in builds}}
    ordered = sorted(builds, key=lambda build: (not build.is_constraint, -sizes[build.table]))
    return IndexScript(settings, ordered)


def build_index(connection: psycopg.Connection, build: IndexBuild, on_failure: FailureSink = stop_at_first) -> None:
    """Build; `connection` is an `IndexScript.session`. A statement that fails goes to `on_failure`."""
    for statement in build.statements:
        with failures_to(on_failure, statement), database_errors("an index cannot be built", statement):
            connection.execute(statement)


def _builds(statements: Sequence[bytes]) -> tuple[tuple[bytes, ...], list[IndexBuild]]:
    """Return the settings before the first build, and the builds in the script's order.

    A statement that begins none, such as CLUSTER ON or a column's statistics target, belongs to the build before it.
    The defaults in force (tablespace, access method) are set again in each.
    """
    settings: list[bytes] = []
    builds: list[IndexBuild] = []
    constraints: dict[bytes, IndexBuild] = {}
    defaults: dict[bytes, bytes] = {}
    current: IndexBuild | None = None
    for statement in statements:
        if default := _DEFAULT.match(statement):
            defaults[default.group()] = statement
        elif constraint := _CONSTRAINT.match(statement):
            table = constraint.group(1)
            if table not in constraints:
                constraints[table] = IndexBuild(table, is_constraint=True)
                builds.append(constraints[table])
            current = constraints[table]
            current.statements += [*defaults.values(), statement]
        elif index := _INDEX.match(statement):
            current = IndexBuild(index.group(1), is_constraint=False, statements=[*defaults.values(), statement])
            builds.append(current)
        elif current is not None:
            current.statements.append(statement)
        elif _SETTING.match(statement):
            settings.append(statement)
        else:
            raise DatabaseError("pg_restore wrote an index in a form that is not known")
    return tuple(settings), builds


def _size(connection: psycopg.Connection, table: bytes) -> int:
    literal = b"'" + table.replace(b"'", b"''") + b"'"
    relation = b"pg_catalog.to_regclass(" + literal + b")"  # NULL if the table could not be made
    row = connection.execute(b"SELECT pg_catalog.pg_table_size(" + relation + b")").fetchone()
    return int(row[0] or 0) if row else 0


def _run(connection: psycopg.Connection, statements: Sequence[bytes]) -> None:
    for statement in statements:
        connection.execute(statement)
