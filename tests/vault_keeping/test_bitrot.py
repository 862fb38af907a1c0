"""The audit of a history: every object is read again in time, and rot is found, told and mended."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.operations.vault.history import history_of
from permafrost.operations.vault.verify import verify_vault
from permafrost.repository.repository import Repository
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.delivery import Stage, make_stage, put_as_syncthing_does
from tests.fixtures.server import SigningKey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A vault that keeps ten objects, which came on one day."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    for _ in range(5):
        made.sender.snapshot(made.clock.wall)
        made.deliver()
        made.keep(turns=1)
        made.clock.pass_time(HOUR)
    return made


def test_all_is_read_again_within_a_week(stage: Stage) -> None:
    """Hour by hour a piece is read; after a week nothing is older than a week, and no day had it all."""
    read_on: dict[int, int] = {}
    with Keeper(stage.vault, None, ignore_events, moment=stage.clock.read) as keeper:
        records = keeper.servers[0].records
        before = stage.clock.wall
        for hour in range(24 * 8):
            stage.clock.pass_time(HOUR)
            was = {name: records.object(name) for name in records.object_names()}
            keeper.turn()
            changed = [name for name, known in was.items() if records.object(name) != known]
            read_on[hour // 24] = read_on.get(hour // 24, 0) + len(changed)
    (kept,) = history_of(stage.vault)
    assert kept.oldest_verified_at is not None
    assert kept.oldest_verified_at > before + DAY
    assert sum(read_on.values()) >= 10
    assert max(read_on.values()) <= 4


def test_rot_is_found_and_mended_from_another_copy(stage: Stage) -> None:
    """A flipped bit is found by the audit; the received object, fetched again, takes the damaged one's place."""
    victim = next((stage.history / "objects").rglob("*.gpg"))
    flip_a_bit(victim, 7)
    for _ in range(8):
        stage.clock.pass_time(DAY)
        stage.keep(turns=1)
    assert "rot" in stage.findings()
    source = stage.sender.repository.path / victim.relative_to(stage.history)
    put_as_syncthing_does(source, stage.received / victim.relative_to(stage.history))
    stage.keep(turns=1)
    assert len(stage.kept()) == 5
    assert "mended" in stage.findings()
    assert "rot" not in stage.findings()


def test_rot_that_cannot_be_mended_stays_told(stage: Stage) -> None:
    """While the object does not come again, the finding stays, and `vault verify` names the object."""
    victim = next((stage.history / "objects").rglob("*.gpg"))
    flip_a_bit(victim, 7)
    (verified,) = verify_vault(stage.vault, None, ignore_events)
    assert victim.stem in {finding.subject for finding in verified.result.findings}
    stage.keep(turns=1)
    assert "rot" in stage.findings()
    (stage.sender.repository.path / victim.relative_to(stage.history)).replace(victim)
    assert not verify_vault(stage.vault, None, ignore_events)[0].result.findings
