"""A server's share of the disk: whatever it sends, its history takes no more than that, by what the disk counts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.openpgp.signing import sign_detached
from permafrost.repository.layout import SnapshotId, object_path
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject
from permafrost.vault.settings import History
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.delivery import Stage, make_stages, new_repository
from tests.fixtures.server import SigningKey

MIB = 1 << 20
SHARE_BYTES = 6 * MIB
HOUR = timedelta(hours=1)


@pytest.fixture
def stages(tmp_path: Path, signing_key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> tuple[Stage, Stage]:
    """A hostile server and an honest one, of each of which a snapshot is kept; each may have `SHARE_BYTES`."""
    disk = (1 << 40, SHARE_BYTES * 2 * 100 // 80)
    monkeypatch.setattr("permafrost.vault_keeping.quota.free_bytes", lambda _: disk)
    repositories = {
        name: new_repository(tmp_path / name, signing_key) for name in ("hostile.example", "honest.example")
    }
    hostile, honest = make_stages(tmp_path / "vault", repositories, signing_key, History(admitted_per_hour=3600))
    for stage in (hostile, honest):
        stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        (_media(stage) / ".stfolder").mkdir(parents=True)
    honest.keep()
    return hostile, honest


def _media(stage: Stage) -> Path:
    media = stage.vault.media(stage.server)
    assert media is not None
    return media


def _send(stage: Stage, number: int, objects: tuple[bytes, ...] = (), manifest: bytes = b"manifest") -> None:
    stored = []
    for content in objects:
        one = StoredObject(hashlib.sha256(content).hexdigest(), len(content))
        place = stage.received / object_path(one.name)
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
        stored.append(one)
    snapshot = SnapshotId(f"{stage.clock.wall - number * HOUR:%Y%m%dT%H%M%SZ}-{number:08x}")
    named = StoredObject(hashlib.sha256(manifest).hexdigest(), len(manifest))
    content = ObjectList(stage.server.repository_id, snapshot, named, tuple(stored)).encode()
    folder = stage.received / "snapshots" / str(snapshot)
    folder.mkdir(parents=True)
    (folder / "manifest.gpg").write_bytes(manifest)
    (folder / "objects.sha256").write_bytes(content)
    key = stage.sender.key
    (folder / "objects.sha256.sig").write_bytes(sign_detached(key.home, key.fingerprint, content))


def _large_manifests(stage: Stage, round_number: int) -> None:
    for number in range(4):
        _send(stage, 10 * round_number + number, (), os.urandom(2 * MIB))


def _long_lists(stage: Stage, round_number: int) -> None:
    """Lists that name the same five hundred objects, nearly empty ones, again and again."""
    objects = tuple(b"%d" % number for number in range(500))
    for number in range(14):
        _send(stage, 100 * round_number + number, objects, b"%d" % number)


def _large_objects(stage: Stage, round_number: int) -> None:
    for number in range(4):
        _send(stage, 10 * round_number + number, (os.urandom(2 * MIB),))


def _large_media(stage: Stage, round_number: int) -> None:
    for number in range(8):
        (_media(stage) / f"{round_number} {number}").write_bytes(os.urandom(MIB))


def _empty_media(stage: Stage, round_number: int) -> None:
    for number in range(2500):
        (_media(stage) / f"{round_number}{number:0200}").write_bytes(b"")


def _deep_media(stage: Stage, round_number: int) -> None:
    for number in range(30):
        folder = _media(stage) / "/".join(f"{round_number}-{number}-{level}" for level in range(40))
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"1")


def _replaced_media(stage: Stage, round_number: int) -> None:
    for number in range(6):
        place = _media(stage) / f"{number}"
        place.unlink(missing_ok=True)
        place.write_bytes(os.urandom(MIB))
    assert round_number < 10


def _everything(stage: Stage, round_number: int) -> None:
    _large_manifests(stage, 3 * round_number)
    _large_media(stage, round_number)
    _large_objects(stage, 3 * round_number + 1)


ATTACKS: list[Callable[[Stage, int], None]] = [
    _large_manifests,
    _long_lists,
    _large_objects,
    _large_media,
    _empty_media,
    _deep_media,
    _replaced_media,
    _everything,
]


def _disk_bytes(*places: Path) -> int:
    """Return the blocks of all files and folders, each file counted once."""
    seen = {}
    for place in places:
        for path in (place, *place.rglob("*")) if place.is_dir() else (place,):
            status = path.lstat()
            seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_share_is_kept(stages: tuple[Stage, Stage], attack: Callable[[Stage, int], None]) -> None:
    """In history and records a server has its share within 5 %, it is told, and the other server's are taken."""
    hostile, honest = stages
    before = set(hostile.kept())
    with Keeper(hostile.vault, None, ignore_events, moment=hostile.clock.read) as keeper:
        for round_number in range(3):
            attack(hostile, round_number)
            for _ in range(2):
                keeper.turn()
            hostile.clock.pass_time(HOUR)
        latest = honest.sender.snapshot(honest.clock.wall)
        honest.deliver()
        (_media(honest) / "new.png").write_bytes(b"new")
        honest.clock.pass_time(HOUR)
        keeper.turn()
    used = _disk_bytes(hostile.history, *hostile.vault.root.glob("hostile.example/keeping.sqlite*"))
    assert used <= SHARE_BYTES * 1.05
    assert hostile.findings() & {"history-full", "media-full"}
    assert before <= set(hostile.kept())
    assert latest in honest.kept()
    assert (honest.history / "media" / "new.png").exists()


def test_a_share_can_be_used(stages: tuple[Stage, Stage]) -> None:
    """What is counted is not much more than what the disk has: two thirds of the share hold ordinary objects."""
    hostile, _ = stages
    for number in range(8):
        _send(hostile, number + 1, (os.urandom(MIB // 2),))
    hostile.keep()
    assert len(hostile.kept()) == 9
    assert hostile.findings() == set()


def test_a_full_disk_takes_nothing_new(stages: tuple[Stage, Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """Free space is looked at before anything is taken: below half of the reserve nothing is, and it is told."""
    hostile, honest = stages
    before = hostile.kept()
    disk = SHARE_BYTES * 20
    monkeypatch.setattr("permafrost.vault_keeping.quota.free_bytes", lambda _: (disk // 50, disk))
    _send(hostile, 1, (b"1",))
    (_media(hostile) / "new.png").write_bytes(b"new")
    hostile.clock.pass_time(HOUR)
    hostile.keep()
    assert hostile.kept() == before
    assert not (hostile.history / "media" / "new.png").exists()
    assert {"disk-full", "media-full"} <= hostile.findings()
    monkeypatch.setattr("permafrost.vault_keeping.quota.free_bytes", lambda _: (disk // 30, disk))
    hostile.clock.pass_time(HOUR)
    hostile.keep()
    assert len(hostile.kept()) == 2
    assert (hostile.history / "media" / "new.png").exists()
    assert honest.kept()
