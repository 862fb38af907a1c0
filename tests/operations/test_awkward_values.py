"""Rows and names with everything that could go wrong on their way, by both engines, twice: as bases and as deltas."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from permafrost.events import ignore_events
from permafrost.operations.backup import back_up
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import contents_of, drop, make_restore
from tests.fixtures.server import MakeServer, Server

NAME = "restored_awkward"
HERE = Path(__file__).parent
KINDS = (HERE / "awkward_values.sql").read_text()
CHANGES = (HERE / "awkward_changes.sql").read_text()


@pytest.fixture(params=["log", "dump"])
def engine(request: pytest.FixtureRequest) -> Literal["log", "dump"]:
    """Each engine."""
    chosen: Literal["log", "dump"] = request.param
    return chosen


def round_trip(server: Server, url: str) -> None:
    """Back up and restore, and compare every row."""
    back_up(server.configuration, is_audited=True, report=ignore_events, now=datetime.now(UTC))
    try:
        make_restore(server, NAME)
        assert contents_of(conninfo_for(url, dbname=NAME)) == contents_of(url)
    finally:
        drop(url, NAME)


def test_kinds(database: str, make_server: MakeServer, engine: Literal["log", "dump"]) -> None:
    """Values of every kind, tables of every shape and names of every sort come back, at first and after changes."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(KINDS)
        server = make_server(database, engine=engine)
        round_trip(server, database)
        connection.execute(CHANGES)
        round_trip(server, database)
        connection.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'sadder'; ALTER TABLE texts RENAME t TO \"T T\"")
        round_trip(server, database)


def test_large_values(database: str, make_server: MakeServer, engine: Literal["log", "dump"], *, is_long: bool) -> None:
    """Values of 20 MB come back, also in a delta; and one of 100 MB in a long run."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE large (id int, t text)")
        connection.execute("INSERT INTO large SELECT 1, repeat(E'x\\n', 10000000)")
        connection.execute("INSERT INTO large SELECT i, 'small' FROM generate_series(2, 2000) i")
        server = make_server(database, engine=engine)
        round_trip(server, database)
        size = 104857600 if engine == "log" and is_long else 10485760
        connection.execute(f"INSERT INTO large SELECT 0, repeat(E'\\t', {size})")
        connection.execute("DELETE FROM large WHERE id = 1")
        round_trip(server, database)


def test_many_columns(database: str, make_server: MakeServer, engine: Literal["log", "dump"]) -> None:
    """1,600 columns come back."""
    columns = ", ".join(f"c{number} bool" for number in range(1600))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE broad ({columns})")
        connection.execute("INSERT INTO broad (c0, c1599) SELECT true, i % 2 = 0 FROM generate_series(1, 20) i")
        server = make_server(database, engine=engine)
        round_trip(server, database)
        connection.execute("UPDATE broad SET c7 = false WHERE c1599")
        round_trip(server, database)


@pytest.fixture(params=["SQL_ASCII", "LATIN1", "EUC_JP"])
def encoded_database(request: pytest.FixtureRequest, cluster: ScratchCluster) -> Iterator[str]:
    """A database in another encoding."""
    name = f"encoded_{secrets.token_hex(4)}"
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING {request.param} LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        yield cluster.conninfo(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_other_encodings(encoded_database: str, make_server: MakeServer, engine: Literal["log", "dump"]) -> None:
    """Databases in other encodings come back, SQL_ASCII with bytes that are no text in any; names too."""
    with psycopg.connect(encoded_database, autocommit=True, client_encoding="SQL_ASCII") as connection:
        encoding = connection.info.parameter_status("server_encoding") or ""
        connection.execute(f"SET client_encoding = {'EUC_JP' if encoding == 'EUC_JP' else 'LATIN1'}")
        name = {"SQL_ASCII": "na\u00efve \u00ff", "LATIN1": "na\u00efve", "EUC_JP": "\u65e5\u672c"}[encoding]
        value = {
            "SQL_ASCII": "\u00ff\u0080\u00c3(",
            "LATIN1": "\u00e9\u00ff",
            "EUC_JP": "\u30de\u30b9\u30c8\u30c9\u30f3",
        }[encoding]
        connection.execute(f'CREATE TABLE "{name}" (id int, "c {name}" text)')
        connection.execute(f"INSERT INTO \"{name}\" SELECT i, '{value}' || i FROM generate_series(1, 50) i")
        server = make_server(encoded_database, engine=engine)
        round_trip(server, encoded_database)
        connection.execute(f'UPDATE "{name}" SET "c {name}" = \'{value}\' WHERE id % 9 = 0')
        round_trip(server, encoded_database)
