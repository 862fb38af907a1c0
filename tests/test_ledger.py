"""The ledger tells since when a finding is known, and when it ended."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.findings import Finding, FindingKind
from permafrost.ledger import ENDED_ARE_KEPT, LEDGER_FILE, Ledger, read_open, settle_in

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FULL = Finding(FindingKind.VAULT_FULL, "attic", "the disk of the vault attic has 4% left")
OTHER = Finding(FindingKind.VAULT_FULL, "cellar", "the disk of the vault cellar has 3% left")


def test_a_finding_over_time(tmp_path: Path) -> None:
    """It keeps its first moment while it lasts, ends when it is no longer found, and begins again if it comes back."""
    settle_in(tmp_path, [FULL, OTHER], NOW)
    settle_in(tmp_path, [FULL], NOW + HOUR)
    (entry,) = read_open(tmp_path)
    assert (entry.subject, entry.first_at, entry.last_at, entry.times) == ("attic", NOW, NOW + HOUR, 2)
    database = sqlite3.connect(tmp_path / LEDGER_FILE)
    (ended,) = Ledger(database).ended()
    database.close()
    assert (ended.subject, ended.ended_at) == ("cellar", NOW + HOUR)
    settle_in(tmp_path, [FULL, OTHER], NOW + 2 * HOUR)
    assert {(entry.subject, entry.first_at) for entry in read_open(tmp_path)} == {
        ("attic", NOW),
        ("cellar", NOW + 2 * HOUR),
    }


def test_new_is_said_once_a_day() -> None:
    """Whoever reports what is new hears of it at first, and again after a day."""
    database = sqlite3.connect(":memory:")
    ledger = Ledger(database)
    assert ledger.saw(FULL, NOW)
    assert not ledger.saw(FULL, NOW + HOUR)
    assert ledger.saw(FULL, NOW + timedelta(hours=26))
    ledger.end_quiet(NOW + timedelta(days=3), NOW + timedelta(days=4))
    assert ledger.open() == ()
    ledger.forget_ended(NOW + timedelta(days=4) + ENDED_ARE_KEPT)
    assert ledger.ended() == ()
    database.close()


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100, None])
def test_a_damaged_ledger(tmp_path: Path, damage: bytes | None) -> None:
    """It is moved aside and started again, and reading it finds nothing; None: a junk page in the middle."""
    settle_in(tmp_path, [FULL], NOW)
    file = tmp_path / LEDGER_FILE
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * 4096 + content[8192:] if damage is None else damage)
    assert read_open(tmp_path) == ()
    settle_in(tmp_path, [FULL], NOW + HOUR)
    (entry,) = read_open(tmp_path)
    assert entry.first_at == NOW + HOUR
