"""Backup and restore of real databases, compared row by row."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from permafrost.events import Reporter, ignore_events
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import BackupResult, back_up
from permafrost.operations.opening import Source
from permafrost.operations.preflight import Target
from permafrost.operations.restore import RestoreResult, restore
from permafrost.postgres.catalog import list_tables
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.digest import TableContents, digest_rows
from permafrost.repository.layout import SnapshotId
from tests.fixtures.server import MakeServer, Server


def contents_of(conninfo: str) -> list[TableContents]:
    """Return every table's count and digest, read from the database as it is now."""
    with connected(conninfo) as connection:
        return [digest_rows(connection, table) for table in list_tables(connection)]


def make_backup(server: Server, *, is_audited: bool = False) -> BackupResult:
    """Back the server up as the command does."""
    return back_up(server.configuration, is_audited=is_audited, report=ignore_events, now=datetime.now(UTC))


def make_restore(
    server: Server,
    database: str,
    *,
    snapshot: SnapshotId | None = None,
    replaces: bool = False,
    report: Reporter = ignore_events,
) -> RestoreResult:
    """Restore a snapshot (the newest) as on disaster day: from the folder and the passphrase alone."""
    return restore(
        Source(server.path, OpeningKey(server.passphrase_file)),
        snapshot,
        Target(database, replaces=replaces, with_owners=True),
        server=conninfo_for(server.configuration.database.url, dbname="postgres"),
        secrets_to=None,
        report=report,
        now=datetime.now(UTC),
    )


def drop(conninfo: str, name: str) -> None:
    """Drop a database that a test made."""
    with psycopg.connect(conninfo_for(conninfo, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def test_restored_equals_backed_up(mastodon_database: str, make_server: MakeServer) -> None:
    """A Mastodon-like database comes back equal, table by table, row by row."""
    server = make_server(mastodon_database)
    before = contents_of(mastodon_database)
    backed_up = make_backup(server, is_audited=True)
    try:
        result = make_restore(server, "restored_equal")
        assert contents_of(conninfo_for(mastodon_database, dbname="restored_equal")) == before
    finally:
        drop(mastodon_database, "restored_equal")
    assert result.snapshot == backed_up.snapshot
    assert result.rows == backed_up.rows_new == sum(table.rows for table in before)
    assert result.is_audited
