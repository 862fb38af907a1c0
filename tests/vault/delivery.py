"""A server that sends without Syncthing: its files come into a vault's folder as Syncthing would put them there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from permafrost.events import Event
from permafrost.openpgp.signing import sign_detached
from permafrost.operations.keeping import Keeper
from permafrost.operations.verify import verify
from permafrost.repository.layout import Layout, SnapshotId
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject, put_object
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import list_snapshots, publish_snapshot
from permafrost.vault.clock import Moment
from permafrost.vault.invitation import OfferedFolder
from permafrost.vault.settings import History, Vault, VaultServer, VaultSettings
from tests.fixtures.server import SigningKey

DEVICE_ID = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAO"
START = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)


def put_as_syncthing_does(source: Path, place: Path) -> None:
    """Put a copy of `source` at `place`: a temporary file, then a rename."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".syncthing.{place.name}.tmp")
    shutil.copyfile(source, temporary)
    temporary.replace(place)


@dataclass
class Clock:
    """The vault machine's clock, turned by the test."""

    wall: datetime = START
    uptime_s: float = 1000.0
    boot_id: str = "first"

    def read(self) -> Moment:
        """Return the moment."""
        return Moment(self.wall, self.uptime_s, self.boot_id)

    def pass_time(self, time: timedelta) -> None:
        """Let time pass, really."""
        self.wall += time
        self.uptime_s += time.total_seconds()


@dataclass
class Sender:
    """A server's repository, whose snapshots are small and made up, and signed with its key."""

    repository: Repository
    key: SigningKey
    made: int = 0

    @property
    def layout(self) -> Layout:
        """Its places."""
        return self.repository.layout

    def snapshot(
        self, made_at: datetime, *, signed_by: SigningKey | None = None, old: tuple[StoredObject, ...] = ()
    ) -> SnapshotId:
        """Publish a snapshot of two new objects and of `old` ones."""
        snapshot = SnapshotId.new(made_at)
        new = tuple(
            put_object(self.layout, [f"{snapshot} {number} {self.made}".encode() * 50], lambda: None)
            for number in range(2)
        )
        self.made += 1
        manifest = f"manifest of {snapshot}".encode()
        layout = self.layout
        stored = put_object(layout, [manifest], lambda: None)
        layout.object(stored.name).unlink()
        listed = ObjectList(self.repository.repository_id, snapshot, stored, (*old, *new))
        key = signed_by or self.key
        publish_snapshot(layout, listed, manifest, sign_detached(key.home, key.fingerprint, listed.encode()))
        return snapshot


@dataclass
class Stage:
    """A sender, a vault that is invited by it, and the vault's clock."""

    sender: Sender
    vault: Vault
    clock: Clock = field(default_factory=Clock)
    told: list[Event] = field(default_factory=list)

    @property
    def server(self) -> VaultServer:
        """The server as the vault knows it."""
        return self.vault.settings.servers[0]

    @property
    def received(self) -> Path:
        """Where the server's files come."""
        return self.vault.received(self.server)

    @property
    def history(self) -> Path:
        """The vault's own copies."""
        return self.vault.history(self.server)

    def deliver(self) -> None:
        """Bring the received folder to what the server has: new files come, those that are gone go."""
        source = self.sender.repository.path
        wanted = {
            file.relative_to(source)
            for file in source.rglob("*")
            if file.is_file() and file.relative_to(source).parts[0] not in ("tmp", "lock")
        }
        for name in sorted(wanted):
            place = self.received / name
            if not place.exists() or place.read_bytes() != (source / name).read_bytes():
                put_as_syncthing_does(source / name, place)
        for file in list(self.received.rglob("*")):
            if file.is_file() and file.relative_to(self.received) not in wanted:
                file.unlink()
        for folder in sorted((self.received / "snapshots").iterdir()):
            if not any(folder.iterdir()):
                folder.rmdir()

    def keep(self, turns: int = 3) -> None:
        """Let a vault that has just started do its work."""
        with Keeper(self.vault, None, self.told.append, moment=self.clock.read) as keeper:
            for _ in range(turns):
                keeper.turn()

    def kept(self) -> list[SnapshotId]:
        """Return the snapshots in the history, having checked that it is a whole repository."""
        result = verify(
            self.history,
            self.server.fingerprint,
            patience=timedelta(0),
            report=self.told.append,
            now=datetime.now(UTC) + timedelta(hours=1),
        )
        assert result.findings == ()
        return list_snapshots(Layout(self.history))

    def findings(self) -> set[str]:
        """Return the kinds of what was found."""
        with Keeper(self.vault, None, self.told.append, moment=self.clock.read) as keeper:
            return {finding.kind for finding in keeper.servers[0].records.findings()}


def make_stage(folder: Path, repository: Repository, key: SigningKey, history: History | None = None) -> Stage:
    """Return a stage in `folder` for a server's repository; nothing is sent yet."""
    server = VaultServer(
        name="example.social",
        repository_id=repository.repository_id,
        fingerprint=key.fingerprint,
        device_id=DEVICE_ID,
        folders=(
            OfferedFolder(folder_id=f"permafrost-{repository.repository_id}", kind="repository"),
            OfferedFolder(folder_id=f"permafrost-{repository.repository_id}-media", kind="media"),
        ),
    )
    settings = VaultSettings(name="attic", servers=(server,), history=history or History())
    return Stage(Sender(repository, key), Vault(root=folder, settings=settings))
