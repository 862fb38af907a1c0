"""permafrost vault history, verify and media, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from permafrost.cli.main import main
from permafrost.repository.repository import Repository
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.delivery import Stage, make_stage
from tests.fixtures.server import SigningKey


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A vault that keeps one snapshot and one picture."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    made.vault.save()
    media = made.vault.media(made.server)
    assert media is not None
    (media / ".stfolder").mkdir(parents=True)
    (media / "a.png").write_bytes(b"a picture")
    made.sender.snapshot(made.clock.wall)
    made.deliver()
    made.keep()
    return made


def _call(stage: Stage, *words: str) -> Result:
    return CliRunner().invoke(main, ["vault", words[0], "--path", str(stage.vault.root), *words[1:]])


def test_history_lists_what_is_kept(stage: Stage) -> None:
    """The history is listed, for people and as JSON, with when each snapshot arrived by the vault's clock."""
    (snapshot,) = stage.kept()
    assert str(snapshot) in _call(stage, "history").stdout
    (server,) = json.loads(_call(stage, "history", "--json").stdout)["servers"]
    (kept,) = server["snapshots"]
    assert (kept["snapshot"], kept["objects"]) == (str(snapshot), 2)
    assert kept["arrived_at"].startswith("2026-11-23T12:05")
    assert server["path"] == str(stage.history)


def test_verify_tells_what_is_damaged(stage: Stage) -> None:
    """Whole, verify ends with 0; with a flipped bit it names the object and ends with 14."""
    whole = _call(stage, "verify", "--json")
    assert whole.exit_code == 0
    assert json.loads(whole.stdout)["servers"][0]["objects"] == 2
    victim = next((stage.history / "objects").rglob("*.gpg"))
    flip_a_bit(victim, 3)
    damaged = _call(stage, "verify")
    assert damaged.exit_code == 14
    assert victim.stem in damaged.stdout


def test_media_are_laid_out(stage: Stage, tmp_path: Path) -> None:
    """The media of a snapshot's time come into a new folder; one that is there is refused."""
    target = tmp_path / "then"
    assert _call(stage, "media", "--server", "example.social", "--to", str(target)).exit_code == 0
    assert (target / "a.png").read_bytes() == b"a picture"
    assert _call(stage, "media", "--server", "example.social", "--to", str(target)).exit_code == 2
