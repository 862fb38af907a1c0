"""Snapshots and servers of different versions of PostgreSQL; `make matrix` tries all of them with each other."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from permafrost.errors import RestoreRefusedError
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.own_postgresql import OWN_MAJOR
from tests.fixtures.server import MakeServer

NAME = "of_another_version"


@pytest.fixture
def filled(database: str, newer_database: str) -> Iterator[tuple[str, str]]:
    """The connection strings of a database of the machine's own version, and of a newer one, with the same rows."""
    for conninfo in (database, newer_database):
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE accounts AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 99) i"
            )
            connection.execute("CREATE UNIQUE INDEX ON accounts (name)")
    yield database, newer_database
    for conninfo in (database, newer_database):
        drop(conninfo, NAME)


def test_a_newer_server_takes_it_and_an_older_one_does_not(
    filled: tuple[str, str], newer_cluster: ScratchCluster, make_server: MakeServer
) -> None:
    """A snapshot restores into a newer server, and an older one refuses it before anything is touched."""
    own, newer = filled
    older_snapshot = make_server(own, engine="log", name="older")
    make_backup(older_snapshot, is_audited=True)
    make_restore(older_snapshot, NAME, server_conninfo=newer_cluster.conninfo("postgres"))
    assert contents_of(newer_cluster.conninfo(NAME)) == contents_of(own)

    with psycopg.connect(newer) as connection:
        major = connection.info.server_version // 10000
    newer_snapshot = make_server(newer, engine="log", name="newer")
    make_backup(newer_snapshot, is_audited=True)
    said = f"the server is PostgreSQL {OWN_MAJOR}, and the snapshot was made by PostgreSQL {major}"
    with pytest.raises(RestoreRefusedError, match=said) as caught:
        make_restore(newer_snapshot, NAME, server_conninfo=own)
    assert caught.value.unchanged == "everything"
