"""Backup and restore of real databases, compared row by row."""

from __future__ import annotations

from permafrost.postgres.connection import conninfo_for
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.server import MakeServer


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
