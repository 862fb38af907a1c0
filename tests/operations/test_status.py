"""What status tells of the repository and the runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from permafrost.operations.status import status
from tests.fixtures.server import MakeServer
from tests.operations.test_backup_restore import make_backup


def test_an_old_snapshot(mastodon_database: str, make_server: MakeServer) -> None:
    """A newest snapshot of more than 26 hours is a finding that asks after what starts backups, which is not `run`."""
    server = make_server(mastodon_database)
    make_backup(server)
    now = datetime.now(UTC)
    assert status(server.configuration, now + timedelta(hours=25)).findings == ()
    (finding,) = status(server.configuration, now + timedelta(hours=27)).findings
    assert finding.message.startswith("the newest snapshot is older than 26 hours")
    assert "cron or a systemd timer" in finding.message
