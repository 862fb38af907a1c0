"""What goes wrong between a server and a vault, with real Syncthings: nothing kept is lost, and all arrives later."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.events import Event
from permafrost.openpgp.signing import sign_detached
from permafrost.operations.verify import verify
from permafrost.processes.program import Program
from permafrost.processes.run import run
from permafrost.repository.layout import Layout, SnapshotId
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import put_object
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import list_snapshots, publish_snapshot, remove_snapshots
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, ensure_device
from permafrost.syncthing.instance import Instance
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.carried import share, turn_until
from tests.fixtures.server import SigningKey
from tests.fixtures.syncthing import Peer, loopback_settings, start_together, wait_for

MIB = 1 << 20


def make_snapshot(repository: Repository, key: SigningKey, sizes: list[int]) -> SnapshotId:
    """Publish a snapshot of random objects of so many bytes, signed by the server's key."""
    layout = repository.layout
    snapshot = SnapshotId.new(datetime.now(UTC), max(list_snapshots(layout), default=None))
    objects = tuple(put_object(layout, [os.urandom(size)], lambda: None) for size in sizes)
    manifest = f"manifest of {snapshot}".encode()
    stored = put_object(layout, [manifest], lambda: None)
    layout.object(stored.name).unlink()
    listed = ObjectList(repository.repository_id, snapshot, stored, objects)
    publish_snapshot(layout, listed, manifest, sign_detached(key.home, key.fingerprint, listed.encode()))
    return snapshot


@dataclass
class Pair:
    """A server with its repository, and a vault, each with a Syncthing."""

    repository: Repository
    key: SigningKey
    sender: Peer
    receiver: Peer
    folder_id: str
    vault: Vault

    @property
    def server(self) -> VaultServer:
        """The server as the vault knows it."""
        return self.vault.settings.servers[0]

    @property
    def history(self) -> Layout:
        """What the vault keeps."""
        return Layout(self.vault.history(self.server))

    @property
    def received(self) -> Path:
        """What Syncthing brings."""
        return self.vault.received(self.server)

    def send(self, sizes: list[int]) -> SnapshotId:
        """Make a snapshot, and have the server's Syncthing look."""
        snapshot = make_snapshot(self.repository, self.key, sizes)
        self.sender.client.scan(self.folder_id)
        return snapshot

    def holds(self, snapshot: SnapshotId) -> bool:
        """Return whether the snapshot is in the history."""
        return self.history.snapshot(snapshot).exists()

    @contextmanager
    def keeper(self, client: Client | None = None) -> Iterator[Keeper]:
        """Let the vault work within the block."""
        told: list[Event] = []
        with Keeper(self.vault, client or self.receiver.client, told.append) as keeper:
            yield keeper

    def kept(self) -> list[SnapshotId]:
        """Return the snapshots of the history, all of whose bytes have been read and compared."""
        later = datetime.now(UTC) + timedelta(hours=1)
        found = verify(
            self.history.root, self.server.fingerprint, patience=timedelta(0), report=lambda _: None, now=later
        )
        assert found.findings == ()
        return list_snapshots(self.history)


def findings(keeper: Keeper) -> set[str]:
    """Return the kinds of what the vault has found."""
    return {finding.code for finding in keeper.servers[0].records.ledger.open()}


def connect(sender: Peer, receiver: Peer) -> None:
    """Let the two know each other, and wait until they are connected."""
    ensure_device(sender.client, Device(receiver.device_id, "vault"))
    ensure_device(receiver.client, Device(sender.device_id, "server", (sender.address,)))
    wait_for(lambda: sender.client.connections()[receiver.device_id].connected, "the two connect")


def signal_all(peer: Peer, number: signal.Signals) -> None:
    """Send a signal to every process of a Syncthing."""
    session = peer.instance.session
    assert session is not None
    os.killpg(session, number)


@pytest.fixture
def pair(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Iterator[Pair]:
    """A server and a vault on a disk of its own if that can be had, that share the server's repository."""
    with ExitStack() as stack:
        peers = start_together(
            stack,
            [
                (Instance(loopback_settings(tmp_path / f"{name}-home"), name), tmp_path / name)
                for name in ("sending", "receiving")
            ],
        )
        sender, receiver = peers
        connect(sender, receiver)
        root = tmp_path / "vault"
        root.mkdir()
        folder_id, vault = share(repository, sender, receiver, root)
        yield Pair(repository, signing_key, sender, receiver, folder_id, vault)


@pytest.mark.parametrize("stopped", ["sender", "receiver"])
def test_the_network_is_cut(pair: Pair, stopped: str) -> None:
    """While one side is silent nothing is kept that is not whole, and nothing looks damaged; then all of it comes."""
    with pair.keeper() as keeper:
        first = pair.send([1000, 2000])
        turn_until(keeper, lambda: pair.holds(first), "the first is kept")
        second = make_snapshot(pair.repository, pair.key, [8 * MIB] * 4)
        pair.sender.client.scan(pair.folder_id, ["objects"])
        peer = getattr(pair, stopped)
        signal_all(peer, signal.SIGSTOP)
        try:
            if stopped == "sender":  # a vault whose own Syncthing hangs can only wait
                for _ in range(3):
                    keeper.turn()
            assert not pair.holds(second)
        finally:
            signal_all(peer, signal.SIGCONT)
        pair.sender.client.scan(pair.folder_id)
        turn_until(keeper, lambda: pair.holds(second), "the second is kept", 60)
        assert findings(keeper) == set()
    assert pair.kept() == [first, second]


def test_killed_in_the_middle_of_a_transfer(pair: Pair) -> None:
    """A vault whose Syncthing is killed half-way and started again keeps what was there, and gets the rest."""
    with pair.keeper() as keeper:
        first = pair.send([1000])
        turn_until(keeper, lambda: pair.holds(first), "the first is kept")
        second = make_snapshot(pair.repository, pair.key, [24 * MIB] * 4)
        pair.sender.client.scan(pair.folder_id)

        def is_half_way() -> bool:
            return any(pair.received.rglob(".syncthing.*")) or len(list(pair.received.rglob("*.gpg"))) > 1

        wait_for(is_half_way, "it has begun")
        signal_all(pair.receiver, signal.SIGKILL)
    assert pair.kept() == [first]
    pair.receiver.instance.mend()
    with pair.receiver.instance.client() as client, pair.keeper(client) as keeper:
        turn_until(keeper, lambda: pair.holds(second), "the second is kept", 60)
        assert findings(keeper) == set()
    assert pair.kept() == [first, second]


def test_local_changes_on_the_vault(pair: Pair) -> None:
    """What somebody edits, adds and deletes in the received folder stays there, is told, and is undone."""
    with pair.keeper() as keeper:
        first = pair.send([1000, 2000, 3000])
        turn_until(keeper, lambda: pair.holds(first), "the first is kept")
        sent = {file: file.read_bytes() for file in pair.repository.path.rglob("*.gpg")}
        edited, deleted, _ = sorted((pair.received / "objects").rglob("*.gpg"))
        edited.chmod(0o644)
        broken = edited.with_name("new")
        broken.write_bytes(b"edited")
        broken.replace(edited)
        deleted.unlink()
        added = pair.received / "objects" / "notes.txt"
        added.write_bytes(b"mine")
        pair.receiver.client.scan(pair.folder_id)
        assert pair.receiver.client.changed_here(pair.folder_id) == 3
    with pair.keeper() as keeper:  # one that looks at once
        turn_until(keeper, lambda: "local-changes" in findings(keeper), "it is told")
        second = pair.send([4000])
        turn_until(keeper, lambda: pair.holds(second), "the second is kept")
        wait_for(deleted.exists, "the deleted one is back")
        wait_for(lambda: not added.exists(), "the added one is gone")
        wait_for(lambda: edited.stat().st_size > 6, "the edited one is as it was")
    assert {file: file.read_bytes() for file in pair.repository.path.rglob("*.gpg") if file in sent} == sent
    assert not (pair.repository.path / "objects" / "notes.txt").exists()
    assert pair.kept() == [first, second]


def test_conflict_files_are_nothing(pair: Pair) -> None:
    """Syncthing's copies of conflicting files, wherever they lie, are no objects and no snapshots, and harm nothing."""
    with pair.keeper() as keeper:
        first = pair.send([1000])
        turn_until(keeper, lambda: pair.holds(first), "the first is kept")
        mark = ".sync-conflict-20261124-120000-ABCDEFG"
        for layout in (pair.repository.layout, Layout(pair.received), pair.history):
            file = next(layout.objects.rglob("*.gpg"))
            shutil.copyfile(file, file.with_name(f"{file.stem}{mark}.gpg"))
            shutil.copytree(layout.snapshot(first), layout.snapshots / f"{first}{mark}")
            shutil.copyfile(layout.root / "repository.json", layout.root / f"repository{mark}.json")
        second = pair.send([2000])
        turn_until(keeper, lambda: pair.holds(second), "the second is kept")
        keeper.turn()
    assert list_snapshots(pair.repository.layout) == [first, second]
    remove_snapshots(pair.repository.layout, [first])
    assert list_snapshots(pair.repository.layout) == [second]
    assert pair.kept() == [first, second]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_disk_that_is_too_small(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> None:
    """A snapshot that does not fit harms nothing that is kept, is told, and comes when there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run(Program(("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk))), timeout_s=10)
    try:
        with ExitStack() as stack:
            sender, receiver = start_together(
                stack,
                [
                    (Instance(loopback_settings(tmp_path / f"{name}-home"), name), tmp_path / name)
                    for name in ("sending", "receiving")
                ],
            )
            connect(sender, receiver)
            folder_id, vault = share(repository, sender, receiver, disk)
            pair = Pair(repository, signing_key, sender, receiver, folder_id, vault)
            with pair.keeper() as keeper:
                first = pair.send([MIB])
                turn_until(keeper, lambda: pair.holds(first), "the first is kept")
                second = pair.send([16 * MIB, 16 * MIB])
                errors = receiver.client.folder_errors
                turn_until(keeper, lambda: errors(folder_id), "Syncthing has no room", 60)
                keeper.turn()
                assert not pair.holds(second)
                assert pair.kept() == [first]
                run(Program(("mount", "-o", "remount,size=96m", str(disk))), timeout_s=10)
                receiver.client.change_folder(folder_id, {"paused": True})  # else it tries again after a minute
                receiver.client.change_folder(folder_id, {"paused": False})
                turn_until(keeper, lambda: pair.holds(second), "the second is kept", 120)
            assert pair.kept() == [first, second]
    finally:
        run(Program(("umount", "--lazy", str(disk))), timeout_s=10)


def test_a_server_that_comes_back_as_it_was(pair: Pair) -> None:
    """Restored from an old image, Syncthing's own state included, a server's next snapshots arrive all the same."""
    home, path = pair.sender.settings.home, pair.repository.path
    with pair.keeper() as keeper:
        first = pair.send([1000])
        turn_until(keeper, lambda: pair.holds(first), "the first is kept")
        signal_all(pair.sender, signal.SIGKILL)
        pair.sender.instance.mend()  # its database is then closed cleanly once it is asked to end
        signal_all(pair.sender, signal.SIGSTOP)
        for folder in (home, path):
            shutil.copytree(folder, folder.with_name(f"{folder.name}.image"), symlinks=True)
        signal_all(pair.sender, signal.SIGCONT)
        with pair.sender.instance.client() as client:
            second = make_snapshot(pair.repository, pair.key, [2000])
            client.scan(pair.folder_id)
        turn_until(keeper, lambda: pair.holds(second), "the second is kept")

        signal_all(pair.sender, signal.SIGKILL)
        for folder in (home, path):
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name(f"{folder.name}.image").rename(folder)
        assert list_snapshots(pair.repository.layout) == [first]
        pair.sender.instance.mend()
        with pair.sender.instance.client() as client:
            third = make_snapshot(pair.repository, pair.key, [3000])
            client.scan(pair.folder_id)
            turn_until(keeper, lambda: pair.holds(third), "the third is kept", 60)
    assert sorted(pair.kept()) == sorted([first, second, third])  # their order within a second is chance


def test_many_objects(pair: Pair, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot of thousands of objects comes whole, every one of them read and compared."""
    count: int = pytestconfig.getoption("--vault-objects")
    snapshot = make_snapshot(pair.repository, pair.key, [100] * count)
    with pair.keeper() as keeper:
        began = time.monotonic()
        pair.sender.client.scan(pair.folder_id)
        turn_until(keeper, lambda: pair.holds(snapshot), "it is kept", 60 + count / 20)
        took_s = time.monotonic() - began
    assert pair.kept() == [snapshot]
    if count > 2000:
        with capsys.disabled():
            sys.stdout.write(f"\n{count} objects were kept after {took_s:.1f} s\n")
