"""Media in a history are read when they come and again in time: rot is told from replacement, and mended."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.repository.repository import Repository
from permafrost.vault.media.layout import lay_out_media
from permafrost.vault.media.versions import MediaVersions
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.delivery import Stage, make_stage, put_as_syncthing_does
from tests.fixtures.server import SigningKey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PICTURE = "media_attachments/files/117/662/831/954/212/746/original/4ab3c0ffee123456.png"


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A vault that keeps a media file, which it has read."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    (_received(made).parents[9] / ".stfolder").mkdir(parents=True)
    _send(made, b"picture" * 100)
    made.sender.snapshot(made.clock.wall)
    made.deliver()
    made.keep()
    return made


def _received(stage: Stage) -> Path:
    media = stage.vault.media(stage.server)
    assert media is not None
    return media / PICTURE


def _kept(stage: Stage) -> Path:
    return stage.history / "media" / PICTURE


def _send(stage: Stage, content: bytes) -> None:
    source = stage.vault.root / "sent"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(content)
    put_as_syncthing_does(source, _received(stage))


def _pass(stage: Stage, passed: timedelta) -> None:
    stage.clock.pass_time(passed)
    stage.keep()


def test_one_bit_is_found_told_and_mended(stage: Stage) -> None:
    """One flipped bit is found within the set time; the copy that comes again takes the damaged one's place."""
    good = _kept(stage).read_bytes()
    flip_a_bit(_kept(stage), 7)
    _pass(stage, DAY)
    assert "media-rot" not in stage.findings()
    _pass(stage, 6 * DAY)
    assert "media-rot" in stage.findings()
    _send(stage, good)
    _pass(stage, HOUR)
    assert _kept(stage).read_bytes() == good
    assert _kept(stage).stat().st_ino == _received(stage).stat().st_ino
    assert stage.findings() & {"media-rot", "mended", "media-replaced"} == {"mended"}
    assert not list((stage.history / "media-replaced").rglob("*.png"))


def test_a_replacement_is_no_rot(stage: Stage) -> None:
    """A file that the server has replaced is another version, and nothing is said of damage, before or after rot."""
    first = _kept(stage).read_bytes()
    _send(stage, b"another one" * 100)
    _pass(stage, 7 * DAY)
    assert _kept(stage).read_bytes() == b"another one" * 100
    assert next((stage.history / "media-replaced").rglob("*.png")).read_bytes() == first
    assert "media-rot" not in stage.findings()
    flip_a_bit(_kept(stage), 7)
    _pass(stage, 7 * DAY)
    assert "media-rot" in stage.findings()
    _send(stage, b"a third one" * 100)
    _pass(stage, HOUR)
    _pass(stage, HOUR)
    assert _kept(stage).read_bytes() == b"a third one" * 100
    assert "mended" not in stage.findings()


def test_while_no_good_copy_comes_the_damaged_one_stays(stage: Stage) -> None:
    """The damaged file is kept, and the finding holds, while the received one is away."""
    flip_a_bit(_kept(stage), 7)
    _pass(stage, 7 * DAY)
    _received(stage).unlink()
    _pass(stage, HOUR)
    assert _kept(stage).exists()
    assert "media-rot" in stage.findings()


def test_the_time_is_settable(stage: Stage) -> None:
    """With `audit_days = 1` the same bit is found a day later."""
    history = stage.vault.settings.history.model_copy(update={"audit_days": 1})
    stage.vault = stage.vault.model_copy(
        update={"settings": stage.vault.settings.model_copy(update={"history": history})}
    )
    flip_a_bit(_kept(stage), 7)
    _pass(stage, DAY)
    assert "media-rot" in stage.findings()


def test_permissions_are_those_of_the_moment(stage: Stage) -> None:
    """A file that was closed later, and not changed, is open in the tree of before and closed in that of after."""
    received = _received(stage)
    received.chmod(0o644)
    _pass(stage, HOUR)
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    _pass(stage, HOUR)
    received.chmod(0o600)
    _pass(stage, HOUR)
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    _pass(stage, HOUR)
    with Keeper(stage.vault, None, stage.told.append, moment=stage.clock.read) as keeper:
        *_, before, after = [arrival.snapshot for arrival in keeper.servers[0].records.arrivals()]
    assert _kept(stage).stat().st_mode & 0o777 == 0o600
    for snapshot, mode in ((before, 0o644), (after, 0o600)):
        target = stage.vault.root / f"laid-out-{mode}"
        lay_out_media(stage.vault, "example.social", snapshot, target, stage.told.append)
        assert (target / PICTURE).stat().st_mode & 0o777 == mode
        assert (target / PICTURE).read_bytes() == _kept(stage).read_bytes()


def test_records_of_an_older_version(stage: Stage) -> None:
    """A history whose records know nothing of hashes and permissions is kept as it is, and learns them."""
    with closing(sqlite3.connect(stage.vault.records(stage.server), isolation_level=None)) as database:
        for (index,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'media' AND sql IS NOT NULL"
        ).fetchall():
            database.execute(f"DROP INDEX {index}")
        for column in ("masked", "sha256", "verified_at", "state", "mode"):
            database.execute(f"ALTER TABLE media DROP COLUMN {column}")
        database.execute("DROP TABLE media_modes")
        database.execute("DROP TABLE media_needed")
    inode = _kept(stage).stat().st_ino
    _pass(stage, HOUR)
    assert _kept(stage).stat().st_ino == inode
    with Keeper(stage.vault, None, stage.told.append, moment=stage.clock.read) as keeper:
        versions = MediaVersions(keeper.servers[0].records.database, stage.server.repository_id)
        known = versions.present(PICTURE.encode())
        assert known is not None
        assert known.sha256 == hashlib.sha256(_kept(stage).read_bytes()).hexdigest()
        assert known.mode == _kept(stage).stat().st_mode & 0o777
        assert versions.mask(10)
        assert not stage.findings()
