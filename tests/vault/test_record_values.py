"""A vault's records in which a value is none that a vault writes are damaged: set aside, and nobody stops."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.findings import Finding, FindingKind
from permafrost.vault.arrivals import KEPT, Arrival, KeptObject, Records
from permafrost.vault.clock import Moment, OwnTime

NOW = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
SNAPSHOT = "20260228T235959Z-0a1b2c3d"
DAMAGES = {
    "no time at all": "UPDATE clock SET wall = '0'",
    "a time without a zone": "UPDATE clock SET own = '2026-02-28T23:59:59.000000'",
    "no such day": "UPDATE objects SET verified_at = '2026-02-31T00:00:00.000000+00:00'",
    "digits of another script": "UPDATE snapshots SET seen_at = replace(seen_at, '2', char(1634))",
    "endless": "UPDATE clock SET uptime_s = 9e999",
    "a name that leads out": "UPDATE objects SET name = '../../../../etc/passwd'",
    "no snapshot": "UPDATE snapshots SET snapshot = 'latest'",
    "no state": "UPDATE snapshots SET state = 'x'",
    "less than nothing": "UPDATE objects SET size_bytes = -1",
    "too much to be added up": f"UPDATE objects SET size_bytes = {(1 << 63) - 1}",
    "no severity": "UPDATE ledger SET severity = 7",
    "never seen": "UPDATE ledger SET last_at = ''",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Records of one snapshot with one object, a finding and the time."""
    place = tmp_path / "keeping.sqlite"
    with closing(Records(place)) as records:
        records.record_time(OwnTime(NOW, Moment(NOW, 5.0, "boot")))
        records.record(Arrival(SNAPSHOT, NOW, KEPT, NOW, NOW, "a" * 64, 1, 10))
        records.record_objects([KeptObject("b" * 64, 10, NOW, is_good=True)])
        records.ledger.saw(Finding(FindingKind.ROT, "x", "x"), NOW)
        records.set_note("since", "2026-02-31T00:00")
        records.set_note("count", "1e9")
    return place


def test_what_a_vault_writes_is_sound(file: Path) -> None:
    """What was recorded is read again, by who writes and by who only reads; a damaged note is none."""
    for records in (Records(file), Records.for_reading(file)):
        assert records is not None
        with closing(records):
            own = records.own_time()
            assert own is not None
            assert own.now == NOW
            assert records.noted_time("since") is None
            assert records.noted_count("count") is None
    assert not list(file.parent.glob("*.damaged"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_wrong_value(file: Path, damage: str) -> None:
    """Whoever only reads is told that the file is damaged; whoever writes sets it aside and begins a new one."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(DAMAGES[damage])
    with pytest.raises(sqlite3.DatabaseError, match="is none that"):
        Records.for_reading(file)
    with closing(Records(file)) as records:
        assert records.own_time() is None
        assert records.arrivals() == ()
    assert file.with_name(f"{file.name}.damaged").exists()
