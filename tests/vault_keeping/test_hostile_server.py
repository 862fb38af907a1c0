"""A vault that keeps two servers, one of them hostile: the other is served in the same turn, whatever is sent."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.openpgp.signing import sign_detached
from permafrost.repository.layout import SnapshotId, object_path
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject
from permafrost.vault.settings import VaultServer
from permafrost.vault.statement import Statement
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import receipt_of
from tests.fixtures.delivery import Stage, make_stages, new_repository
from tests.fixtures.server import SigningKey

HOUR = timedelta(hours=1)
TURN_S = 12.0
"""Two servers' shares, and room for a busy machine. What is sent here took 15 s and more a turn, each turn."""


@pytest.fixture
def stages(tmp_path: Path, signing_key: SigningKey) -> tuple[Stage, Stage]:
    """A hostile server and an honest one, of each of which a snapshot and a media file are kept."""
    repositories = {
        name: new_repository(tmp_path / name, signing_key) for name in ("hostile.example", "honest.example")
    }
    hostile, honest = make_stages(tmp_path / "vault", repositories, signing_key)
    for stage in (hostile, honest):
        stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        _send_media(stage, "kept.png", b"kept")
    honest.keep()
    honest.clock.pass_time(HOUR)
    return hostile, honest


def _media(stage: Stage) -> Path:
    media = stage.vault.media(stage.server)
    assert media is not None
    (media / ".stfolder").mkdir(parents=True, exist_ok=True)
    return media


def _send_media(stage: Stage, name: str, content: bytes) -> None:
    place = _media(stage) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _send(stage: Stage, objects: bytes | tuple[StoredObject, ...], manifest: bytes = b"manifest", date: int = 0) -> str:
    """Put a snapshot with a good signature into the received folder; `objects` may be the list's raw lines."""
    snapshot = SnapshotId.new(stage.clock.wall - timedelta(seconds=date))
    stored = StoredObject(hashlib.sha256(manifest).hexdigest(), len(manifest))
    listed, raw = ((), objects) if isinstance(objects, bytes) else (objects, b"")
    content = ObjectList(stage.server.repository_id, snapshot, stored, listed).encode() + raw
    key = stage.sender.key
    folder = stage.received / "snapshots" / str(snapshot)
    folder.mkdir(parents=True)
    (folder / "manifest.gpg").write_bytes(manifest)
    (folder / "objects.sha256").write_bytes(content)
    (folder / "objects.sha256.sig").write_bytes(sign_detached(key.home, key.fingerprint, content))
    return str(snapshot)


def _entry(stored: StoredObject) -> bytes:
    path = object_path(stored.name)
    return f"# size {stored.size_bytes} {path}\n{stored.name}  {path}\n".encode()


def _one_object_280_000_times(stage: Stage) -> None:
    _send(stage, _entry(StoredObject("a" * 64, 1)) * 280_000)


def _lists_of_many_objects(stage: Stage) -> None:
    names = (hashlib.sha256(b"%d" % number).hexdigest() for number in range(30_000))
    entries = b"".join(_entry(StoredObject(name, 1)) for name in names)
    for number in range(3):
        _send(stage, entries, date=number)


def _manifests(stage: Stage) -> None:
    for number in range(5):
        _send(stage, (StoredObject("a" * 64, 1),), os.urandom(1 << 20) * 15, date=number)


def _empty_folders(stage: Stage) -> None:
    for number in range(2500):
        (stage.received / "snapshots" / f"20261123T{number % 24:02}{number % 60:02}00Z-{number:08x}").mkdir()
    for number in range(2500):
        (stage.received / "snapshots" / f"junk {number}").mkdir()


def _an_object_without_end(stage: Stage) -> None:
    """Zeros that lie nowhere on the disk, and would take half a minute to be read."""
    giant = StoredObject("b" * 64, 24 << 30)
    place = stage.received / object_path(giant.name)
    place.parent.mkdir()
    with place.open("wb") as file:
        file.truncate(giant.size_bytes)
    _send(stage, (giant,))


def _media_without_end(stage: Stage) -> None:
    for number in range(40):
        folder = _media(stage) / "/".join(str(number + level) for level in range(60))
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"")


def _bad_paths(stage: Stage) -> None:
    received = stage.received
    shutil.rmtree(received / "objects")
    (received / "objects").symlink_to("/")
    for number in range(50):
        folder = received / "snapshots" / f"20261123T1200{number:02}Z-{number:08x}"
        folder.mkdir()
        os.mkfifo(folder / "objects.sha256")
        (folder / "objects.sha256.sig").symlink_to("/dev/zero")
    (received / "snapshots" / os.fsdecode(b"caf\xe9\n")).mkdir()
    (received / "declared.json").mkdir()
    os.mkfifo(_media(stage) / os.fsdecode(b"\xff\xfe\n\x1b[2J"))


ATTACKS: list[Callable[[Stage], None]] = [
    _one_object_280_000_times,
    _lists_of_many_objects,
    _manifests,
    _empty_folders,
    _an_object_without_end,
    _media_without_end,
    _bad_paths,
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_honest_server_is_served(stages: tuple[Stage, Stage], attack: Callable[[Stage], None]) -> None:
    """In one turn of bounded length the honest server's snapshot and media are kept, its removals seen, it is told."""
    hostile, honest = stages
    attack(hostile)
    before = honest.kept()
    snapshot = honest.sender.snapshot(honest.clock.wall)
    honest.deliver()
    _send_media(honest, "new.png", b"new")
    (honest.received / "restore.py").unlink()
    said: dict[str, Statement] = {}

    def publish(server: VaultServer, statement: Statement) -> None:
        said[server.name] = statement

    with Keeper(honest.vault, None, ignore_events, moment=honest.clock.read, publish=publish) as keeper:
        began = time.monotonic()
        keeper.turn()
        assert time.monotonic() - began < TURN_S
        found = {one.code for one in keeper.servers[1].records.ledger.open()}
    assert honest.kept() == [*before, snapshot]
    assert (honest.history / "media" / "new.png").read_bytes() == b"new"
    assert found == {"removed"}
    assert said.keys() == {"hostile.example", "honest.example"}
    assert len(said["honest.example"].snapshots) == 2


def test_a_list_is_decoded_once(stages: tuple[Stage, Stage]) -> None:
    """A list that is signed, and whose objects never come, costs a turn once, and then next to nothing."""
    hostile, _ = stages
    _lists_of_many_objects(hostile)
    with Keeper(hostile.vault, None, ignore_events, moment=hostile.clock.read) as keeper:
        for _ in range(4):
            keeper.turn()
        began = time.process_time()
        keeper.turn()
        assert time.process_time() - began < 0.5


def test_an_honest_snapshots_size_sets_the_limits(stages: tuple[Stage, Stage]) -> None:
    """A list or a manifest many times larger than any that was taken is refused, and it is told; others are taken."""
    hostile, _ = stages
    _send(hostile, b"", os.urandom(1 << 20) * 17)
    _send(hostile, b"# junk\n" * (2 << 20), date=1)
    _send(hostile, b"", os.urandom(1 << 20), date=2)
    hostile.keep()
    assert len(hostile.kept()) == 2
    assert hostile.findings() == {"odd-file"}


def test_an_object_is_read_over_several_turns(stages: tuple[Stage, Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that takes longer than a turn is resumed where it was, compared whole, and taken."""
    hostile, _ = stages
    content = os.urandom(1 << 20)
    digest = hashlib.sha256()
    for _ in range(24):
        digest.update(content)
    large = StoredObject(digest.hexdigest(), 24 << 20)
    place = hostile.received / object_path(large.name)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content * 24)
    snapshot = _send(hostile, (large,))
    monkeypatch.setattr("permafrost.vault_keeping.server_turn.TAKE_S", 0.02)
    monkeypatch.setattr("permafrost.vault_keeping.server_turn.TURN_S", 0.0)
    turns = 0
    with Keeper(hostile.vault, None, ignore_events, moment=hostile.clock.read) as keeper:
        while not (hostile.history / "snapshots" / snapshot).exists():
            assert turns < 100
            keeper.turn()
            turns += 1
    assert turns > 1
    assert (hostile.history / object_path(large.name)).stat().st_size == large.size_bytes
    assert not list((hostile.history / "tmp").iterdir())


def test_a_kind_of_finding_does_not_bury_the_others(stages: tuple[Stage, Stage]) -> None:
    """Thousands of findings of one kind become fifty and one; the gravest are in the receipt all the same."""
    hostile, _ = stages
    for number in range(300):
        folder = hostile.received / "snapshots" / f"20261123T1200{number % 60:02}Z-{number:08x}"
        folder.mkdir()
        (folder / "objects.sha256").symlink_to("/dev/zero")
    (hostile.received / "signing-key.asc").unlink()
    hostile.keep(turns=1)
    with Keeper(hostile.vault, None, ignore_events, moment=hostile.clock.read) as keeper:
        found = [one.code for one in keeper.servers[0].records.ledger.open()]
        receipt = receipt_of(hostile.vault, keeper.servers[0].statement(hostile.clock.wall), "")
    assert found.count("odd-file") == 51
    assert "removed" in {finding.kind for finding in receipt.findings}
    assert len(receipt.findings) == 50
