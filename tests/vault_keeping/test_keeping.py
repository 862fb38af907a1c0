"""A vault's history, and a server in bad hands: whatever comes, what was kept stays, whole and readable."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from permafrost.events import Warned, ignore_events
from permafrost.openpgp.home import stop_agent
from permafrost.openpgp.signing import export_public_key, generate_signing_key
from permafrost.processes.program import Program
from permafrost.processes.run import run
from permafrost.repository.objects import StoredObject, put_object
from permafrost.repository.repository import Repository
from permafrost.vault.settings import History, Vault, VaultServer
from permafrost.vault.statement import Statement
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.delivery import START, Stage, make_stage, put_as_syncthing_does
from tests.fixtures.server import SigningKey
from tests.fixtures.syncthing import wait_for

HOUR = timedelta(hours=1)


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A server and its vault; two snapshots have come and are kept."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    for _ in range(2):
        made.sender.snapshot(made.clock.wall)
        made.deliver()
        made.keep()
        made.clock.pass_time(HOUR)
    assert len(made.kept()) == 2
    assert made.findings() == set()
    return made


def _set_rules(stage: Stage, rules: History) -> None:
    settings = stage.vault.settings.model_copy(update={"history": rules})
    stage.vault = stage.vault.model_copy(update={"settings": settings})


def test_what_has_come_whole_is_kept(stage: Stage) -> None:
    """A snapshot that has come whole is linked into the history, which is a repository by itself, by our own reader."""
    snapshot = stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep()
    assert snapshot in stage.kept()
    for file in (stage.received / "objects").rglob("*.gpg"):
        assert (stage.history / file.relative_to(stage.received)).stat().st_ino == file.stat().st_ino


def test_what_is_not_whole_waits(stage: Stage) -> None:
    """While one object is missing, nothing is taken; when it comes, the snapshot is; a day without it is told."""
    snapshot = stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    late = max((stage.received / "objects").rglob("*.gpg"), key=lambda file: file.stat().st_ctime_ns)
    late.unlink()
    stage.keep()
    assert snapshot not in stage.kept()
    assert stage.findings() == set()
    stage.clock.pass_time(24 * HOUR)
    stage.keep()
    assert stage.findings() == {"overdue"}
    stage.deliver()
    stage.keep()
    assert snapshot in stage.kept()


def test_an_object_of_other_bytes_is_not_taken(stage: Stage) -> None:
    """An object of the right size and the wrong bytes is not taken, nor its snapshot, until the right one comes."""
    known = set((stage.received / "objects").rglob("*.gpg"))
    snapshot = stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    victim = min(set((stage.received / "objects").rglob("*.gpg")) - known)
    bad = stage.vault.root / "bad"
    bad.write_bytes(os.urandom(victim.stat().st_size))
    put_as_syncthing_does(bad, victim)
    stage.keep()
    assert snapshot not in stage.kept()
    assert stage.findings() == {"corrupt-object"}
    stage.deliver()
    stage.keep()
    assert snapshot in stage.kept()


def test_a_server_that_deletes_everything(stage: Stage) -> None:
    """All that the server deletes stays in the history, and it is told."""
    kept = stage.kept()
    for name in ("objects", "snapshots"):
        shutil.rmtree(stage.received / name)
    for _ in range(40):
        stage.clock.pass_time(24 * HOUR)
        stage.keep(turns=1)
    assert stage.kept() == kept
    assert "removed" in stage.findings()


def test_a_server_that_deletes_its_newest(stage: Stage) -> None:
    """A prune of old snapshots is no finding; that the newest one goes, and nothing comes for it, is."""
    oldest, newest = stage.kept()
    shutil.rmtree(stage.received / "snapshots" / str(oldest))
    stage.keep()
    assert stage.findings() == set()
    shutil.rmtree(stage.received / "snapshots" / str(newest))
    stage.keep()
    assert stage.findings() == {"removed"}
    assert stage.kept() == [oldest, newest]


def test_a_server_that_rewrites_objects(stage: Stage) -> None:
    """Objects that are replaced, twice over, are unharmed in the history, and it is told."""
    kept = stage.kept()
    bad = stage.vault.root / "bad"
    for turn in range(2):
        bad.write_bytes(os.urandom(4096) + bytes([turn]))
        for file in [*(stage.received / "objects").rglob("*.gpg"), *(stage.received / "snapshots").rglob("*.*")]:
            put_as_syncthing_does(bad, file)
        stage.clock.pass_time(HOUR)
        stage.keep()
    assert stage.kept() == kept
    assert {"rewritten", "bad-signature"} & stage.findings()


def test_a_hundred_junk_snapshots_in_a_minute(stage: Stage) -> None:
    """Junk with a good signature pushes nothing out, only so many of it are taken, and it is told."""
    before = set(stage.kept())
    genuine = stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep()
    for number in range(100):
        stage.sender.snapshot(stage.clock.wall + timedelta(seconds=number + 1))
    stage.deliver()
    stage.keep(turns=4)
    kept = set(stage.kept())
    assert before | {genuine} < kept
    assert len(kept) <= len(before) + stage.vault.settings.history.admitted_per_hour
    assert "too-many-snapshots" in stage.findings()


def test_a_backup_every_minute_is_nothing_odd(stage: Stage) -> None:
    """Of a server that backs up every minute, each snapshot is kept as it comes, and nothing is found wrong."""
    before = set(stage.kept())
    with Keeper(stage.vault, None, stage.told.append, moment=stage.clock.read) as keeper:
        for _ in range(70):
            snapshot = stage.sender.snapshot(stage.clock.wall)
            stage.deliver()
            keeper.turn()
            assert (stage.history / "snapshots" / str(snapshot)).exists()
            stage.clock.pass_time(timedelta(minutes=1))
    assert len(stage.kept()) == len(before) + 70
    assert stage.findings() == set()


def test_a_server_that_sets_its_clock_forward(stage: Stage) -> None:
    """A snapshot of ten years from now ages nothing, and is told."""
    before = set(stage.kept())
    snapshot = stage.sender.snapshot(stage.clock.wall + timedelta(days=3650))
    stage.deliver()
    stage.keep()
    assert set(stage.kept()) == before | {snapshot}
    assert stage.findings() == {"server-clock"}


@pytest.mark.parametrize("is_rebooted", [False, True])
def test_a_vaults_clock_that_jumps(stage: Stage, is_rebooted: bool) -> None:
    """The vault's own clock may go ten years forward and back: the history neither ages by it, nor stops growing."""
    _set_rules(stage, History(hourly=0, daily=0, weekly=0, monthly=0, keep_all_hours=40))
    kept = set(stage.kept())
    for jump in (timedelta(days=3650), timedelta(days=-3650)):
        stage.clock.wall += jump
        if is_rebooted:
            stage.clock.boot_id = f"after {jump}"
        stage.keep()
        stage.clock.pass_time(HOUR)
        kept.add(stage.sender.snapshot(START + timedelta(minutes=len(kept))))
        stage.deliver()
        stage.keep()
        assert set(stage.kept()) == kept
    assert "clock-jumped" in stage.findings()


def test_another_keys_snapshot_is_refused(stage: Stage, tmp_path: Path) -> None:
    """A snapshot signed by another key is not taken, even if the received folder names that key; it is told."""
    before = stage.kept()
    home = tmp_path / "other"
    fingerprint = generate_signing_key(home, "someone else")
    other = SigningKey(home, fingerprint, export_public_key(home, fingerprint))
    stop_agent(home)
    stage.sender.snapshot(stage.clock.wall, signed_by=other)
    stage.deliver()
    (tmp_path / "key").write_bytes(other.public_key)
    put_as_syncthing_does(tmp_path / "key", stage.received / "signing-key.asc")
    stage.keep()
    assert stage.kept() == before
    assert "bad-signature" in stage.findings()


def test_links_and_pipes_are_not_followed(stage: Stage, tmp_path: Path) -> None:
    """Symbolic links, pipes and folders in the place of files are neither followed nor waited for."""
    before = stage.kept()
    secret = tmp_path / "secret"
    secret.write_text("nothing for a server")
    known = set((stage.received / "objects").rglob("*.gpg"))
    for _ in range(3):
        stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    fresh = sorted(set((stage.received / "objects").rglob("*.gpg")) - known)
    replacements: list[Callable[[Path], object]] = [lambda place: place.symlink_to(secret), os.mkfifo, Path.mkdir]
    for number, file in enumerate(fresh):
        file.unlink()
        replacements[number % 3](file)
    folder = stage.received / "snapshots" / "20261123T120500Z-0a1b2c3d"
    shutil.copytree(stage.received / "snapshots" / str(before[0]), tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    stage.keep()
    assert stage.kept() == before
    assert "odd-file" in stage.findings()


def test_the_emergency_reader_is_our_own(stage: Stage, tmp_path: Path) -> None:
    """What the server sends as restore.py and README.txt never comes into the history."""
    evil = tmp_path / "evil"
    evil.write_text("import os; os.system('true')")
    for name in ("restore.py", "README.txt"):
        put_as_syncthing_does(evil, stage.received / name)
    stage.keep()
    for name in ("restore.py", "README.txt"):
        assert (stage.history / name).read_bytes() == (stage.sender.repository.path / name).read_bytes()


def test_lost_records_lose_no_history(stage: Stage) -> None:
    """Without its records a vault finds its history again, and keeps it."""
    before = stage.kept()
    for file in stage.vault.records(stage.server).parent.glob("keeping.sqlite*"):
        file.unlink()
    stage.clock.pass_time(timedelta(days=2))
    stage.keep()
    assert stage.kept() == before


def test_the_history_stops_at_its_share_of_the_disk(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its share of the disk nothing new is taken, what is there stays, and it is told."""
    stage = make_stage(tmp_path / "vault", repository, signing_key, History(share_percent=1))
    first = stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep()
    monkeypatch.setattr("permafrost.vault_keeping.quota.free_bytes", lambda _: (1000, 400_000))
    stage.clock.pass_time(HOUR)
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep()
    assert stage.kept() == [first]
    assert stage.findings() == {"history-full"}


def test_the_retention_drops_in_time(stage: Stage) -> None:
    """An honest server's snapshots thin out with time: the first of each period stays, objects of others go."""
    for _ in range(30):
        stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        stage.keep(turns=1)
        stage.clock.pass_time(4 * HOUR)
    rules = stage.vault.settings.history
    kept = stage.kept()
    assert len(kept) == 32
    _set_rules(stage, rules.model_copy(update={"hourly": 3}))
    stage.keep()
    fewer = stage.kept()
    assert len(fewer) < 15
    assert kept[-1] in fewer
    assert kept[0] in fewer
    assert len(list((stage.history / "objects").rglob("*.gpg"))) == 2 * len(fewer)


def test_what_it_can_say_is_said_when_it_changes(stage: Stage) -> None:
    """With a new snapshot the vault says at once what it holds and how that was checked, and not again without news."""
    said: list[Statement] = []

    def publish(server: VaultServer, statement: Statement) -> None:
        assert server == stage.server
        said.append(statement)

    with Keeper(stage.vault, None, ignore_events, moment=stage.clock.read, publish=publish) as keeper:
        keeper.turn()
        keeper.turn()
        assert len(said) == 1
        snapshot = stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        keeper.turn()
    newest = said[-1].newest
    assert newest is not None
    content = (stage.received / "snapshots" / str(snapshot) / "objects.sha256").read_bytes()
    assert (newest.snapshot, newest.list_hash) == (str(snapshot), hashlib.sha256(content).hexdigest())
    assert newest.arrived_by_clock == said[-1].made_at == stage.clock.wall
    assert (len(said), len(said[-1].snapshots), said[-1].objects, said[-1].bad_objects) == (2, 3, 6, 0)


def _fill(folder: Path) -> Path:
    """Leave no byte free on the disk that holds `folder`."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    return filler


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_server_that_fills_the_disk(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> None:
    """On a disk without a free byte the history stays whole, it is told, and with room the vault goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run(Program(("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk))), timeout_s=10)
    try:
        stage = make_stage(disk, repository, signing_key)
        first = stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        stage.keep()
        stage.clock.pass_time(HOUR)
        second = stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        filler = _fill(disk)
        stage.keep()
        assert first in stage.kept()
        assert any(isinstance(event, Warned) for event in stage.told)
        filler.unlink()
        stage.keep()
        assert stage.kept() == [first, second]
    finally:
        run(Program(("umount", "--lazy", str(disk))), timeout_s=10)


def _keep_for_ever(vault: Vault) -> None:
    with Keeper(vault, None, ignore_events) as keeper:
        while True:
            keeper.turn()


def _holds(objects: Path, count: int) -> bool:
    return len(list(objects.rglob("*.gpg"))) >= count


def test_killed_at_any_point(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> None:
    """Killed again and again while it works, a vault goes on where it was, and ends with all that came, whole."""
    stage = make_stage(tmp_path / "vault", repository, signing_key)
    old: tuple[StoredObject, ...] = tuple(
        put_object(stage.sender.layout, [os.urandom(64)], lambda: None) for _ in range(300)
    )
    snapshots = [stage.sender.snapshot(stage.clock.wall + number * HOUR, old=old) for number in range(4)]
    stage.deliver()
    objects = stage.history / "objects"
    for goal in (1, 40, 120, 200, 280):
        process = get_context("spawn").Process(target=_keep_for_ever, args=(stage.vault,))
        process.start()
        wait_for(partial(_holds, objects, goal), f"{goal} objects are there")
        process.kill()
        process.join()
    for _ in range(10):  # a turn ends after some time, and a busy machine does less in it
        stage.keep(turns=8)
        if stage.kept() == snapshots:
            break
    assert stage.kept() == snapshots
    assert not list((stage.history / "tmp").iterdir())
