"""The archive of a snapshot, loaded step by step."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from permafrost.errors import DatabaseError
from permafrost.events import ignore_events
from permafrost.loading.frame import frame_loader
from permafrost.loading.logins import Login
from permafrost.loading.source import Source, opened
from permafrost.openpgp.sealing import OpeningKey
from permafrost.postgres.connection import conninfo_for
from tests.fixtures.backups import drop, make_backup
from tests.fixtures.server import MakeServer

NAME = "loaded_in_part"


def test_a_step_that_is_left_out_is_found(database: str, make_server: MakeServer) -> None:
    """Loading that misses an entry of the archive, or does one twice, does not pass for whole."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE accounts (id int PRIMARY KEY)")
        connection.execute("COMMENT ON CONSTRAINT accounts_pkey ON accounts IS 'key'")
    server = make_server(database, engine="log")
    make_backup(server)
    admin = conninfo_for(database, dbname="postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME} TEMPLATE template0")
    target = conninfo_for(database, dbname=NAME)
    with opened(Source(server.path, OpeningKey(server.passphrase_file)), ignore_events) as repository:
        snapshot = repository.read(None, datetime.now(UTC), ignore_events)
        with frame_loader(snapshot, target, with_owners=True, with_tablespaces=True, jobs=1) as frame:
            frame.load_definitions()
            frame.load_data([Login(target)])
            with pytest.raises(DatabaseError, match=r"2 entries .* CONSTRAINT public accounts accounts_pkey"):
                frame.check_all_loaded()
            frame.load_indexes(ignore_events)
            frame.check_all_loaded()
    drop(database, NAME)
