"""Rows of logged tables are loaded by several workers at a time, none of which undoes what another one did."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from psycopg import sql

from permafrost.postgres.connection import conninfo_for
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.server import MakeServer

RESTORED = "restored_by_workers"
_EXECUTE = psycopg.Connection.execute
_PATIENCE_S = 2.0


def _late(connection: psycopg.Connection, query: Any, *words: Any, **options: Any) -> psycopg.Cursor:  # noqa: ANN401 - as psycopg has it
    """Execute; but a TRUNCATE only once another session has loaded rows into the table, or after some time."""
    if isinstance(query, sql.Composed) and query.as_string(connection).startswith("TRUNCATE"):
        deadline = time.monotonic() + _PATIENCE_S
        with psycopg.connect(connection.info.dsn, autocommit=True) as other:
            while time.monotonic() < deadline and _EXECUTE(other, "SELECT FROM big LIMIT 1").fetchone() is None:
                pass
    return _EXECUTE(connection, query, *words, **options)


def test_a_delta_is_not_loaded_before_its_base(
    make_server: MakeServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that loads a table's base empties the table first: however late it does so, no row is lost."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE big AS SELECT i AS id, repeat('x', 200) AS text FROM generate_series(1, 9000) i"
        )
        server = make_server(database, engine="log")
        make_backup(server)
        connection.execute("UPDATE big SET text = 'changed' WHERE id % 1000 = 5")
        make_backup(server)
    monkeypatch.setattr(psycopg.Connection, "execute", _late)
    try:
        make_restore(server, RESTORED)
        monkeypatch.undo()
        assert contents_of(conninfo_for(database, dbname=RESTORED)) == contents_of(database)
    finally:
        monkeypatch.undo()
        drop(database, RESTORED)
