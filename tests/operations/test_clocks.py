"""A clock that was wrong for a run: `latest` is what was backed up last, nothing is lost, status says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Retention
from permafrost.errors import RepositoryError, UsageError
from permafrost.events import Event, Warned, ignore_events
from permafrost.operations.backup import back_up
from permafrost.operations.prune import prune
from permafrost.operations.snapshots_remove import remove_snapshot
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import newest
from permafrost.repository.snapshots import list_snapshots
from permafrost.runs import DRILL, RunRecords
from permafrost.status.document import status
from tests.fixtures.backups import contents_of, drop, make_restore
from tests.fixtures.commands import command, json_of
from tests.fixtures.server import MakeServer, Server

YEAR = timedelta(days=370)
HOUR = timedelta(hours=1)
ROWS = "SELECT count(*) FROM rows"


@pytest.fixture
def server(database: str, make_server: MakeServer) -> Server:
    """A server with a table that grows with each backup."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE rows (id serial PRIMARY KEY)")
    return make_server(database, engine="log")


@pytest.fixture
def at(server: Server, database: str) -> Callable[[datetime], tuple[SnapshotId, list[str]]]:
    """A function that adds a row, backs up by a clock that says what it is told, and returns id and warnings."""

    def made(moment: datetime) -> tuple[SnapshotId, list[str]]:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("INSERT INTO rows DEFAULT VALUES")
        told: list[Event] = []
        result = back_up(server.configuration, report=told.append, now=moment)
        return result.snapshot, [event.message for event in told if isinstance(event, Warned)]

    return made


def restored(server: Server, database: str, name: str) -> bool:
    """Return whether the latest snapshot restores to what the database holds."""
    try:
        make_restore(server, name)
        return contents_of(conninfo_for(database, dbname=name)) == contents_of(database)
    finally:
        drop(database, name)


def codes(server: Server, now: datetime) -> dict[str, str]:
    """Return the findings: message by code."""
    return {finding.code: finding.message for finding in status(server.configuration, now).findings}


def test_ahead_for_one_run(
    server: Server, database: str, at: Callable[[datetime], tuple[SnapshotId, list[str]]]
) -> None:
    """After a run a year ahead: a warning, latest is the newest by the clock, prune and retention are as without it."""
    now = datetime.now(UTC)
    at(now - 3 * HOUR)
    future, _ = at(now + YEAR)
    second, warnings = at(now - HOUR)
    third, _ = at(now)
    assert any(str(future) in warning for warning in warnings)
    assert restored(server, database, "after_the_future")
    found = status(server.configuration, now)
    assert found.newest == third
    assert found.newest_age_s is not None
    assert found.newest_age_s >= 0
    assert str(future) in codes(server, now)["clock"]
    two = server.configuration.model_copy(
        update={"retention": Retention(last=2, hourly=0, daily=0, weekly=0, monthly=0)}
    )
    result = prune(two, is_dry_run=False, report=ignore_events, now=now)
    assert set(result.kept) == {second, third, future}
    assert restored(server, database, "after_the_prune")
    remove_snapshot(server.configuration, future, is_forced=False, report=ignore_events, now=now)
    assert list_snapshots(server.repository.layout) == [second, third]
    assert "clock" not in codes(server, now)
    at(now + HOUR / 60)
    assert restored(server, database, "after_the_removal")


def test_behind_for_one_run(
    server: Server, database: str, at: Callable[[datetime], tuple[SnapshotId, list[str]]]
) -> None:
    """After a run a year behind: a warning, a finding that names the snapshot, and the next backup puts it right."""
    now = datetime.now(UTC)
    first, _ = at(now - HOUR)
    behind, warnings = at(now - YEAR)
    assert any(str(first) in warning for warning in warnings)
    assert str(behind) in codes(server, now)["clock-behind"]
    third, warnings = at(now)
    assert warnings == []
    assert "clock-behind" not in codes(server, now)
    assert status(server.configuration, now).newest == third
    assert restored(server, database, "after_the_past")


def test_every_snapshot_lies_in_the_future(
    server: Server, at: Callable[[datetime], tuple[SnapshotId, list[str]]]
) -> None:
    """On a machine whose clock is years behind the newest is taken all the same, and nothing is pruned."""
    now = datetime.now(UTC)
    made = [at(now - number * HOUR)[0] for number in range(3)]
    long_ago = now - 10 * YEAR
    assert newest(made, long_ago) == max(made)
    one = server.configuration.model_copy(
        update={"retention": Retention(last=1, hourly=0, daily=0, weekly=0, monthly=0)}
    )
    assert prune(one, is_dry_run=False, report=ignore_events, now=long_ago).removed == ()
    assert "the clock of this machine is wrong" in codes(server, long_ago)["clock"]


def test_what_stays_unless_forced(server: Server, at: Callable[[datetime], tuple[SnapshotId, list[str]]]) -> None:
    """The newest, the only one and the last proven one are removed only by --force; nothing else goes with them."""
    now = datetime.now(UTC)
    proven, _ = at(now - 2 * HOUR)
    records = RunRecords(server.configuration.state.path)
    records.end(records.begin(DRILL, now), now, "done", snapshot=str(proven), details={})
    old, _ = at(now - HOUR)
    latest, _ = at(now)

    def remove(doomed: SnapshotId, *, is_forced: bool = False) -> None:
        remove_snapshot(server.configuration, doomed, is_forced=is_forced, report=ignore_events, now=now)

    with pytest.raises(UsageError, match="last one that a drill has proven"):
        remove(proven)
    with pytest.raises(UsageError, match="the newest"):
        remove(latest)
    with pytest.raises(RepositoryError):
        remove(SnapshotId.new(now))
    assert list_snapshots(server.repository.layout) == [proven, old, latest]
    remove(old)
    remove(proven, is_forced=True)
    with pytest.raises(UsageError, match="the only one"):
        remove(latest)
    assert list_snapshots(server.repository.layout) == [latest]


def test_the_commands(server: Server, at: Callable[[datetime], tuple[SnapshotId, list[str]]], tmp_path: Path) -> None:
    """Snapshots lists and warns, snapshots remove removes; the emergency reader takes the same one for latest."""
    now = datetime.now(UTC)
    latest, _ = at(now)
    future, _ = at(now + YEAR)
    config = str(server.write_configuration())
    listed = json_of("snapshots", "--config", config)
    assert [one["snapshot"] for one in listed["snapshots"]] == [str(latest), str(future)]
    reader = subprocess.run(
        [sys.executable, str(server.path / "restore.py"), "--passphrase-file", str(server.passphrase_file), "manifest"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert str(latest) in reader.stdout
    assert str(future) not in reader.stdout
    readme = (server.path / "README.txt").read_text()
    start = readme.index(': "${SNAPSHOT:=')
    command = readme[start : readme.index('\n    : "${PASSPHRASE_FILE', start)]
    shell = subprocess.run(
        ["bash", "-c", f'{command}\necho "$SNAPSHOT"'], capture_output=True, text=True, check=True, cwd=server.path
    )
    assert shell.stdout.strip() == str(latest)
    assert json_of("snapshots", "remove", str(future), "--config", config)["removed"] == str(future)


@pytest.fixture
def flat_battery(tmp_path: Path) -> dict[str, str]:
    """Variables with which permafrost, and the gpg that it starts, believe that it is 2019."""
    faketime, gpg = shutil.which("faketime"), shutil.which("gpg")
    if faketime is None:
        pytest.skip("needs faketime")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gpg").write_text(f'#!/bin/sh\nexec {faketime} "2019-01-01 12:00:00" {gpg} "$@"\n')
    (programs / "gpg").chmod(0o755)
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "LD_PRELOAD": str(library),
        "FAKETIME": "@2019-01-01 12:00:00",
        "PERMAFROST_CONFIG": "/nowhere",
    }


def test_a_flat_battery_on_disaster_day(
    server: Server,
    database: str,
    at: Callable[[datetime], tuple[SnapshotId, list[str]]],
    flat_battery: dict[str, str],
    tmp_path: Path,
) -> None:
    """By a clock of before the signing key all is verified and restored as ever, and the clock is what is named."""
    at(datetime.now(UTC))
    source = (f"--repository={server.path}", f"--fingerprint={server.repository.fingerprint}")
    key = f"--passphrase-file={server.passphrase_file}"
    verified = command("verify", *source, environment=flat_battery)
    assert (verified.returncode, "the clock of this machine (2019-01-01" in verified.stderr) == (0, True)
    target = (f"--server={database}", "--database=from_2019", f"--runbook={tmp_path / 'runbook'}")
    restored_there = command("restore", "latest", *source, key, *target, environment=flat_battery)
    try:
        assert restored_there.returncode == 0, restored_there.stderr
        assert "the clock of this machine (2019-01-01" in restored_there.stderr
        assert "trust nothing" not in restored_there.stderr
        assert contents_of(conninfo_for(database, dbname="from_2019")) == contents_of(database)
    finally:
        drop(database, "from_2019")
    reader = subprocess.run(
        [sys.executable, str(server.path / "restore.py"), key, source[1], "check"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **flat_battery},
    )
    assert (reader.returncode, reader.stdout.endswith("whole\n")) == (0, True), reader.stderr


def test_no_backup_before_the_keys_time(
    server: Server, at: Callable[[datetime], tuple[SnapshotId, list[str]]], flat_battery: dict[str, str]
) -> None:
    """A backup by a clock of before the signing key is refused with exit code 15, and the error names the clock."""
    made, _ = at(datetime.now(UTC))
    refused = command("backup", f"--config={server.write_configuration()}", environment=flat_battery)
    assert refused.returncode == 15
    assert "by the clock of this machine the signing key is not made yet" in refused.stderr
    assert list_snapshots(server.repository.layout) == [made]
