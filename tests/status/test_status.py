"""What status tells of the repository and the runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from permafrost.config.models import Configuration, Schedule
from permafrost.runs import RunRecords
from permafrost.status.document import status
from tests.fixtures.backups import make_backup
from tests.fixtures.server import MakeServer


def test_an_old_snapshot(mastodon_database: str, make_server: MakeServer) -> None:
    """Hourly backups that have not come for some hours are a finding; without a schedule, more than 26 hours are."""
    server = make_server(mastodon_database)
    make_backup(server)
    now = datetime.now(UTC)

    def scheduled(backup: str) -> Configuration:
        """No audits, which would be overdue too at some hours of the day."""
        schedule = Schedule(backup=backup, audit="off", drill="off")
        return server.configuration.model_copy(update={"schedule": schedule})

    hourly = scheduled("40 * * * *")
    assert status(hourly, now + timedelta(hours=2)).findings == ()
    (finding,) = status(hourly, now + timedelta(hours=4)).findings
    assert finding.code == "old-snapshot"
    assert "backups are overdue" in finding.message

    off = scheduled("off")
    assert status(off, now + timedelta(hours=25)).findings == ()
    (finding,) = status(off, now + timedelta(hours=27)).findings
    assert finding.message.startswith("the newest snapshot is older than 26 hours")
    assert "cron or a systemd timer" in finding.message


def test_audits_and_drills_that_do_not_come(mastodon_database: str, make_server: MakeServer) -> None:
    """An audit or a drill that the schedule asks for and nobody has made is a finding, and so is one that failed."""
    server = make_server(mastodon_database)
    make_backup(server)
    now = datetime.now(UTC)
    kinds = {finding.code for finding in status(server.configuration, now + timedelta(days=8)).findings}
    assert kinds >= {"audit-overdue", "drill-overdue"}
    make_backup(server, is_audited=True)
    records = RunRecords(server.configuration.state.path)
    records.end(records.begin("drill", now), now, "done", details={})
    assert status(server.configuration, datetime.now(UTC)).findings == ()
    records.end(records.begin("backup", now), now, "failed", details={"error": "no", "is_audited": True})
    assert "audit-failed" in {one.code for one in status(server.configuration, datetime.now(UTC)).findings}


def test_the_recovery_sheet_should_be_elsewhere(mastodon_database: str, make_server: MakeServer) -> None:
    """While the recovery sheet is on the server, that is a finding."""
    server = make_server(mastodon_database)
    sheet = server.configuration.signing.sheet_file
    sheet.write_text("a sheet\n")
    now = datetime.now(UTC)
    (finding,) = [one for one in status(server.configuration, now).findings if one.code == "recovery-sheet"]
    assert str(sheet) in finding.message
    sheet.unlink()
    assert "recovery-sheet" not in {one.code for one in status(server.configuration, now).findings}
