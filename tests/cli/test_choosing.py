"""Which snapshot is restored: by its id, the newest, or the newest up to a moment."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.errors import RepositoryError, UsageError
from permafrost.events import Event, Note, ignore_events
from permafrost.loading.source import Source, choose_by_time
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import back_up
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import parse_moment
from tests.fixtures.backups import contents_of, drop
from tests.fixtures.commands import command, json_of
from tests.fixtures.server import MakeServer

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = "restored_at"


def test_by_time(database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """Of three audited snapshots --at restores the newest up to the moment, says which, and equals that moment."""
    server = make_server(database, engine="log")
    config = server.write_configuration()
    states = []
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (id int, t text)")
        for hour in range(3):
            connection.execute("INSERT INTO notes SELECT i, %s FROM generate_series(1, 50) i", (f"hour {hour}",))
            made_at = NOON + timedelta(hours=hour)
            result = back_up(server.configuration, is_audited=True, report=ignore_events, now=made_at)
            states.append((result.snapshot, contents_of(database)))
    for words, number in ((("--at", "2026-11-22 12:59:59Z"), 0), (("--at", "2026-11-22T14:00+01:00"), 1)):
        try:
            done = json_of(
                *("restore", *words, "--database", NAME, "--config", str(config)),
                *("--runbook", str(tmp_path / f"runbook-{number}")),
            )
            assert done["snapshot"] == str(states[number][0])
            assert done["audited"]
            assert contents_of(conninfo_for(database, dbname=NAME)) == states[number][1]
        finally:
            drop(database, NAME)
    source = Source(server.path, OpeningKey(server.passphrase_file))
    told: list[Event] = []
    assert choose_by_time(source, NOON + timedelta(days=1), told.append) == states[2][0]
    assert any(isinstance(event, Note) and str(states[2][0]) in event.message for event in told)
    with pytest.raises(RepositoryError, match="as old as") as caught:
        choose_by_time(source, NOON - timedelta(seconds=1), ignore_events)
    assert str(states[0][0]) in caught.value.hint


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment without an offset is local time, one with an offset is not."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert parse_moment("2026-11-22 14:00") == datetime(2026, 11, 22, 13, tzinfo=UTC)
        assert parse_moment("2026-07-22 14:00") == datetime(2026, 7, 22, 12, tzinfo=UTC)
        assert parse_moment("2026-11-22 14:00Z") == datetime(2026, 11, 22, 14, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["yesterday", "2026-11-22", "20261122", "", "2026-13-01 10:00"])
def test_no_moment(text: str) -> None:
    """What is no moment, or a day without a time, is refused."""
    with pytest.raises(UsageError):
        parse_moment(text)


def test_one_choice() -> None:
    """Neither a snapshot nor --at, or both, is told as a mistake in the words."""
    for words in ((), ("latest", "--at", "2026-11-22 14:00")):
        finished = command("restore", *words, "--database", "x", "--repository", "/nowhere")
        assert finished.returncode == 2
        assert "give exactly one of" in finished.stderr
