"""The frame of a log snapshot: pg_dump runs only when there are other definitions than last time."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from permafrost.events import ignore_events
from permafrost.operations.backup import BackupResult, back_up
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import contents_of, drop, make_restore
from tests.fixtures.server import MakeServer, Server

PG_DUMPS_OWN_WORDS = "SELECT pg_catalog.pg_is_in_recovery()"
NAME = "restored_frame"


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer, cluster: ScratchCluster) -> Server:
    """A server whose statements are in the cluster's log."""
    name = sql.Identifier(str(conninfo_to_dict(mastodon_database)["dbname"]))
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name))
    return make_server(mastodon_database, engine="log")


def run(server: Server) -> BackupResult:
    """Back up."""
    return back_up(server.configuration, is_audited=True, is_full=False, report=ignore_events, now=datetime.now(UTC))


def change(server: Server, statement: str) -> None:
    """Change the database."""
    with psycopg.connect(server.configuration.database.url, autocommit=True) as connection:
        connection.execute(statement)


def test_pg_dump_runs_when_definitions_changed(server: Server, cluster: ScratchCluster) -> None:
    """It does at first, not after an hour of rows and vacuums, and again after a definition; all of it comes back.

    So it is with what a manifest says of the database's roles and of whose code runs in it.
    """
    url = server.configuration.database.url

    def dumps() -> int:
        return cluster.log_file.read_text(errors="replace").count(PG_DUMPS_OWN_WORDS)

    def descriptions() -> int:
        return cluster.log_file.read_text(errors="replace").count("FROM pg_event_trigger t JOIN")

    at_first, described_before = dumps(), descriptions()
    run(server)
    assert dumps() == at_first + 1
    change(server, "UPDATE accounts SET updated_at = now()")
    change(server, "VACUUM ANALYZE")
    same = run(server)
    assert (dumps(), descriptions()) == (at_first + 1, described_before + 1)
    assert same.rows_new > 0
    change(server, "CREATE VIEW of_today AS SELECT 1 AS one")
    other = run(server)
    assert (dumps(), descriptions()) == (at_first + 2, described_before + 2)
    assert other.rows_new == 0
    try:
        make_restore(server, NAME, snapshot=same.snapshot)
        there = conninfo_for(url, dbname=NAME)
        assert contents_of(there) == contents_of(url)
        drop(url, NAME)
        make_restore(server, NAME)
        with psycopg.connect(there) as connection:
            assert connection.execute("SELECT one FROM of_today").fetchone() == (1,)
    finally:
        drop(url, NAME)


def test_a_frame_that_is_gone_is_made_again(server: Server) -> None:
    """If the frame's object is not in the repository any more, the same definitions are dumped anew."""
    run(server)
    frames = {file: file.stat().st_size for file in server.repository.layout.objects.rglob("*.gpg")}
    for file in frames:
        file.unlink()
    change(server, "UPDATE accounts SET updated_at = now()")
    run(server)
    try:
        make_restore(server, NAME)
        assert contents_of(conninfo_for(server.configuration.database.url, dbname=NAME)) == contents_of(
            server.configuration.database.url
        )
    finally:
        drop(server.configuration.database.url, NAME)


def test_it_is_work_that_is_told(server: Server) -> None:
    """A run says how long each kind of work took."""
    told = run(server).work_s
    assert {"connect", "scan", "fetch", "frame", "compress", "seal", "publish"} <= told.keys()
    assert all(seconds >= 0 for seconds in told.values())
    assert run(server).work_s.keys() >= {"connect", "scan", "frame", "publish"}
