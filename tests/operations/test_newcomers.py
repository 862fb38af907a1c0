"""What people ran into on their first day, each told in a way that helps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from permafrost.config.checking import check_files
from permafrost.config.models import Media, Schedule, Secrets
from permafrost.config.secret_files import read_secret_file
from permafrost.config.writing import effective_toml
from permafrost.errors import DatabaseError, InterruptedRunError, KeyFileError, LockedError
from permafrost.events import Event, Warned, ignore_events
from permafrost.loading.source import Source
from permafrost.openpgp.passphrase import new_passphrase
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import back_up
from permafrost.operations.drill import DrillRequest, drill
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.runs import DRILL, RunRecords
from permafrost.service.server import LOCK_FILE
from permafrost.status.document import status
from tests.fixtures.backups import drop, make_backup, make_restore
from tests.fixtures.commands import command
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import loopback_settings, wait_for


@pytest.fixture
def server(database: str, make_server: MakeServer) -> Server:
    """A server with one small table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE rows AS SELECT generate_series(1, 10) AS id")
    return make_server(database, engine="log")


def codes(server: Server) -> dict[str, str]:
    """Return the findings: message by code."""
    return {finding.code: finding.message for finding in status(server.configuration, datetime.now(UTC)).findings}


def test_a_passphrase_typed_from_the_sheet(server: Server, database: str) -> None:
    """Capitals and spaces do not matter for what init has made; a wrong letter is named by its group."""
    file = server.passphrase_file
    printed = new_passphrase()
    file.write_text(f"{printed}\n")
    make_backup(server)
    file.write_text(f"{printed.upper().replace('-', ' ')}\n")
    try:
        make_restore(server, "typed_from_the_sheet")
    finally:
        drop(database, "typed_from_the_sheet")
    wrong = ("b" if printed[7] != "b" else "c").join((printed[:7], printed[8:]))
    file.write_text(f"{wrong}\n")
    with pytest.raises(KeyFileError, match=r"mistyped: group 2 \("):
        make_restore(server, "typed_wrongly")
    file.write_text("somebody's own, and another\n")
    with pytest.raises(KeyFileError) as caught:
        make_restore(server, "not_ours")
    assert "mistyped" not in caught.value.message


def test_the_scheduled_drill_takes_an_audited_snapshot(server: Server, server_folder: Path) -> None:
    """Of an audited snapshot and a newer one the audited is drilled; where none is audited, the newest."""
    source = Source(server.path, OpeningKey(server.passphrase_file), server.repository.fingerprint)
    request = DrillRequest(source, None, scratch=server_folder, state=None, jobs=1, prefers_audited=True)
    first = make_backup(server)
    told: list[Event] = []
    assert drill(request, report=told.append, now=datetime.now(UTC)).snapshot == first.snapshot
    assert any("audited" in getattr(event, "message", "") for event in told)
    audited = make_backup(server, is_audited=True)
    make_backup(server)
    result = drill(request, report=ignore_events, now=datetime.now(UTC))
    assert (result.snapshot, result.is_audited) == (audited.snapshot, True)


def test_a_rehearsal_has_a_runbook_of_its_own(server: Server, database: str) -> None:
    """Next to the live database the runbook says how to look and how to drop it, and nothing that would do harm."""
    make_backup(server)
    try:
        text = make_restore(server, "rehearsed").runbook.text()
    finally:
        drop(database, "rehearsed")
    assert "Rehearsal" in text
    assert 'DROP DATABASE "rehearsed"' in text
    assert not {word for word in ("flushall", "systemctl", "git clone", "tootctl media remove") if word in text}


def test_a_job_that_a_person_ended(server: Server) -> None:
    """Ctrl-C on a backup or a drill is no failure; one that fails is."""
    make_backup(server)
    records = RunRecords(server.configuration.state.path)
    for operation in ("backup", DRILL):
        with pytest.raises(InterruptedRunError), records.recorded(operation, datetime.now(UTC)):
            raise InterruptedRunError(signal.SIGINT)
    assert not {"backup-failed", "drill-failed"} & codes(server).keys()
    with pytest.raises(DatabaseError), records.recorded("backup", datetime.now(UTC)):
        raise DatabaseError("no")
    assert "backup-failed" in codes(server)


def test_media_and_secrets_that_are_missing(server: Server, tmp_path: Path) -> None:
    """A backup warns of media and secrets files that are missing or too large, keeps the rest; status has findings."""
    there, giant = tmp_path / "there.env", tmp_path / "giant.env"
    there.write_text("A=1\n")
    giant.touch()
    os.truncate(giant, 8 << 40)
    gone, production = tmp_path / "gone.env", tmp_path / ".env.production"
    os.mkfifo(production)  # Mastodon's user may have put anything there
    media = tmp_path / "system"
    changes = {"secrets": Secrets(files=(giant, gone, there, production)), "media": Media(path=media)}
    lacking = replace(server, configuration=server.configuration.model_copy(update=changes))
    told: list[Event] = []
    back_up(lacking.configuration, report=told.append, now=datetime.now(UTC))
    warnings = " ".join(event.message for event in told if isinstance(event, Warned))
    assert str(gone) in warnings
    assert str(production) in warnings
    assert f"{giant} is not in the snapshots: the secrets files have more than 64 MiB in all" in warnings
    assert str(media) in warnings
    assert str(there) not in warnings
    assert {"secrets-missing", "media-missing"} <= codes(lacking).keys()
    assert {fault for _, fault in check_files(lacking.configuration) if str(giant) in fault}
    make_restore(lacking, "without_some", secrets_to=tmp_path / "restored")
    drop(lacking.configuration.database.url, "without_some")
    assert [file.read_text() for file in (tmp_path / "restored").rglob("*.env")] == ["A=1\n"]
    (media / "accounts").mkdir(parents=True)
    (media / "media_attachments").symlink_to(tmp_path)
    assert "media_attachments" in codes(lacking)["media-links"]
    assert "media-missing" not in codes(lacking)


def test_two_services(server: Server, tmp_path: Path) -> None:
    """A second service with the same state folder is refused with exit code 11, and the first one goes on."""
    off = Schedule(backup="off", audit="off", drill="off")
    changes = {"syncthing": loopback_settings(tmp_path / "syncthing"), "schedule": off}
    config = tmp_path / "permafrost.toml"
    config.write_text(effective_toml(server.configuration.model_copy(update=changes)))
    first = subprocess.Popen((sys.executable, "-m", "permafrost", "run", "--config", str(config)))
    try:
        lock = server.configuration.state.path / LOCK_FILE
        wait_for(lambda: lock.exists() and str(first.pid) in lock.read_text(), "the service holds its lock")
        second = command("run", "--config", str(config))
        assert second.returncode == LockedError.exit_code, second.stderr
        assert f"process {first.pid}" in second.stderr
        assert first.poll() is None
    finally:
        first.terminate()
        first.wait(60)


def test_why_a_connection_fails(database: str) -> None:
    """An unknown database, an unknown role and a server that does not run are told apart, each with its hint."""
    cases = {
        conninfo_for(database, dbname="no_such_database"): "has no such database",
        conninfo_for(database, user="nobody_of_that_name"): "has no such role",
        "host=/nowhere dbname=x": "is it running",
        "host=127.0.0.1 port=1 dbname=x": "is it running",
        "host=no-such-host.invalid dbname=x": "no machine of that name",
    }
    for conninfo, hint in cases.items():
        with pytest.raises(DatabaseError) as caught, connected(conninfo):
            pass
        assert hint in caught.value.hint, (conninfo, caught.value.message)


def test_somebody_elses_passphrase_file(tmp_path: Path) -> None:
    """The hint names the owner to run as, and does not take the file away from the service."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    file = tmp_path / "passphrase"
    file.write_text("secret\n")
    file.chmod(0o600)
    os.chown(file, 65534, -1)
    with pytest.raises(KeyFileError) as caught:
        read_secret_file(file)
    assert "sudo -u nobody permafrost" in caught.value.hint
    assert "chown" not in caught.value.hint
