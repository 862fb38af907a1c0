"""What a vault says of itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.buckets.report import BucketReport, report_file, write_report
from permafrost.cli.vault.status import vault_lines
from permafrost.config.alerting import Notify
from permafrost.config.buckets import Bucket
from permafrost.errors import ConfigurationError
from permafrost.repository.repository import Repository
from permafrost.runs import PLACE, Run, RunRecords
from permafrost.status.deliveries import Deliveries, deliveries_file
from permafrost.status.forecast import place_growth
from permafrost.status.vault_document import STATE, lag_limit, vault_status
from permafrost.vault.settings import open_vault
from samples.server_state import NOW, STATES, StateName
from samples.vault_state import make_vault_state
from tests.fixtures.delivery import Clock, make_stage
from tests.fixtures.server import SigningKey


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


SAID: dict[StateName, str] = {
    "healthy": "Yes: could come back as it was at 14:02, from this vault; proven 2 days ago.",
    "first-day": "No: nothing has arrived yet.",
    "no-vault": "No: nothing has arrived yet.",
    "vault-silent": "Yes, but only as it was yesterday 07:02, 31 h ago, from this vault.",
    "behind": "Yes, but only as it was at 05:02, 9 h ago, from this vault.",
    "full": "Yes: could come back as it was at 14:02, from this vault.",
    "drill-failed": (
        "Probably: could come back as it was at 14:02, from this vault; the last drill here failed 2 days ago."
    ),
    "key-unproven": "Yes: could come back as it was at 14:02, from this vault.",
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_sentence(tmp_path: Path, state: StateName) -> None:
    """A vault answers for its server in one sentence, and what it prints fits 80 columns and 40."""
    found = vault_status(make_vault_state(tmp_path, state), NOW)
    (server,) = found.servers
    assert server.verdict.text == SAID[state]
    for columns in (40, 80):
        assert max(map(len, vault_lines(found, columns))) <= columns


def test_a_failed_drill_needs_attention(tmp_path: Path) -> None:
    """The last drill made on a vault is a finding there if it failed, with the command that helps."""
    (finding,) = vault_status(make_vault_state(tmp_path, "drill-failed"), NOW).findings
    assert (finding.kind, finding.severity) == ("drill-failed", "alarm")
    assert finding.message == "social.example: the last drill here failed: 3 rows differ"
    assert "permafrost drill" in finding.commands


def test_what_has_really_arrived(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> None:
    """A delivered snapshot is what the server could come back to; looking leaves no file behind or changed."""
    stage = replace(make_stage(tmp_path / "vault", repository, signing_key), clock=Clock(wall=datetime.now(UTC)))
    stage.vault.save()
    assert vault_status(stage.vault.root, datetime.now(UTC)).servers[0].verdict.answer == "no"
    snapshot = stage.sender.snapshot(datetime.now(UTC))
    stage.deliver()
    stage.keep()

    def files() -> dict[Path, tuple[int, int]]:
        root = stage.vault.root
        return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in root.rglob("*") if file.is_file()}

    before = files()
    found = vault_status(stage.vault.root, datetime.now(UTC))
    (server,) = found.servers
    assert server.verdict.answer == "yes"
    assert server.place.restorable_to == snapshot.made_at
    assert (server.place.snapshots, found.findings) == (1, ())
    assert files() == before


def test_the_most_severe_finding_is_first(tmp_path: Path) -> None:
    """What a vault finds of its servers, its buckets and its receivers stands in one order."""
    root = make_vault_state(tmp_path, "vault-silent")
    (tmp_path / "url").touch()
    receiver = Notify(name="phone", url_file=tmp_path / "url")
    vault = open_vault(root)
    bucket = Bucket(name="far", bucket="far-away", credentials_file=tmp_path / "credentials")
    settings = vault.settings.model_copy(update={"notify": (receiver,), "buckets": (bucket,)})
    vault.model_copy(update={"settings": settings}).save()
    file = deliveries_file(root / STATE, "phone")
    file.parent.mkdir(parents=True)
    file.write_text(Deliveries(failing_since=NOW - timedelta(hours=1), problem="HTTP status 500").model_dump_json())
    report = report_file(root / STATE, bucket, settings.servers[0].repository_id)
    report.parent.mkdir()
    write_report(report, BucketReport(bad=("objects/00/0",), bad_count=1))
    found = vault_status(root, NOW).findings
    assert [(one.severity, one.kind) for one in found] == [
        ("alarm", "nothing-new"),
        ("alarm", "bucket-corrupt"),
        ("warning", "notify-failed"),
        ("warning", "bucket-late"),
    ]


def test_how_long_the_room_lasts(tmp_path: Path) -> None:
    """A vault's growth is measured over days, and is not known before one has passed."""
    root = make_vault_state(tmp_path / "old", "healthy")
    RunRecords(root / STATE).record_place("social.example", 1, 1, NOW - timedelta(minutes=2))  # too soon: left out
    (server,) = vault_status(root, NOW).servers
    assert server.place.growth_bytes_per_day == pytest.approx(50e6)
    free = server.place.free_bytes
    assert free is not None
    assert server.place.room_days == pytest.approx(free / 50e6)
    (new,) = vault_status(make_vault_state(tmp_path / "new", "first-day"), NOW).servers
    assert (new.place.growth_bytes_per_day, new.place.room_days) == (None, None)


def test_media_grow_too() -> None:
    """What a place grows by has the media in it, where they were recorded for a day."""
    moments = (NOW - timedelta(days=4), NOW - timedelta(days=2), NOW - timedelta(hours=1))
    sizes = ((100, None), (300, 5000), (500, 9000))
    details = [
        {"name": "attic", "size_bytes": size} | ({"media_bytes": media} if media is not None else {})
        for size, media in sizes
    ]
    samples = [Run(PLACE, moment, moment, "done", None, told) for moment, told in zip(moments, details, strict=True)]
    span, with_media = 4 - 1 / 24, 2 - 1 / 24
    assert place_growth(samples, NOW) == {"attic": pytest.approx(400 / span + 4000 / with_media)}


def test_damaged_records(tmp_path: Path) -> None:
    """Records that cannot be read are an error that says what to do, not an empty answer."""
    root = make_vault_state(tmp_path, "healthy")
    (root / "social.example" / "keeping.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        vault_status(root, NOW)


def test_how_old_is_late() -> None:
    """Three usual intervals, at least two hours; a day and two hours where there is nothing to go by."""
    hours = [NOW + timedelta(hours=number) for number in range(12)]
    days = [NOW + timedelta(days=number) for number in range(12)]
    assert lag_limit([]) == lag_limit([NOW]) == timedelta(hours=26)
    assert lag_limit(hours) == timedelta(hours=3)
    assert lag_limit([NOW + timedelta(minutes=number) for number in range(30)]) == timedelta(hours=2)
    assert lag_limit(days) == timedelta(days=3)
