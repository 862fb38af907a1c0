"""What a server declares to its vaults: its configuration, and nothing that changes from day to day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from permafrost.config.models import Retention, Schedule
from permafrost.schedule import calendar_of
from permafrost.sharing.declaring import declare, longest_gap_s
from permafrost.vault.declaration import DECLARATION_FILE, Declaration, DeclaredRetention, parse_declaration
from tests.fixtures.server import MakeServer

NOW = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)
DAY_S = 86400


@pytest.mark.parametrize(
    ("backup", "audit", "gap_s"),
    [
        ("40 * * * *", "30 3 * * *", 3600),
        ("* * * * *", "off", 60),
        ("*/10 8-20 * * *", "off", 11 * 3600 + 600),
        ("0 4 * * *", "off", DAY_S),
        ("0 4 * * 1", "0 4 * * 4", 4 * DAY_S),
        ("0 4 1 * *", "off", 31 * DAY_S),
        ("0 4 1 1 *", "off", 32 * DAY_S),
        ("off", "off", None),
    ],
)
def test_the_longest_gap(backup: str, audit: str, gap_s: int | None) -> None:
    """The longest time between two backups is declared, all year the same but for the night when summer time ends."""
    calendar = calendar_of(Schedule(backup=backup, audit=audit, drill="off"), ZoneInfo("Europe/Berlin"))
    declared = [
        Declaration(backup_every_s=longest_gap_s(calendar, NOW + timedelta(days=days))) for days in (0, 120, 280)
    ]
    assert {declaration.backup_every_s for declaration in declared} <= {gap_s, gap_s + 3600 if gap_s else None}
    for before, after in pairwise((*declared, declared[0])):
        assert list(after.less_than(before)) == []


def test_what_is_declared(make_server: MakeServer) -> None:
    """The file says what the configuration does, and is written again only if that has changed."""
    server = make_server()
    configuration = server.configuration.model_copy(
        update={"retention": Retention(last=3, daily=7), "schedule": Schedule(backup="40 * * * *")}
    )
    file = server.repository.path / DECLARATION_FILE
    declare(configuration, NOW)
    written = file.stat()
    declare(configuration, NOW + timedelta(days=30))
    assert file.stat().st_ino == written.st_ino
    expected = Declaration(backup_every_s=3600, retention=DeclaredRetention(last=3, daily=7))
    assert parse_declaration(file.read_bytes()) == expected
    declare(configuration.model_copy(update={"retention": Retention(last=9)}), NOW)
    assert parse_declaration(file.read_bytes()).retention == DeclaredRetention(last=9)
