"""prune: what no rule keeps goes, what is needed stays, and doubt removes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from permafrost.config.models import Configuration, Retention
from permafrost.errors import IntegrityError, LockedError
from permafrost.events import ignore_events
from permafrost.openpgp.signing import sign_detached
from permafrost.operations.prune import PruneResult, prune
from permafrost.operations.verify import verify
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject, put_object
from permafrost.repository.snapshots import list_snapshots, publish_snapshot
from tests.fixtures.commands import command
from tests.fixtures.server import MakeServer, Server

START = datetime(2026, 11, 20, 0, 40, tzinfo=UTC)


def add_snapshot(server: Server, made_at: datetime, objects: tuple[StoredObject, ...]) -> SnapshotId:
    """Publish a snapshot that names these objects; what it holds does not matter to prune."""
    snapshot = SnapshotId.new(made_at)
    layout = server.repository.layout
    manifest = f"manifest of {snapshot}".encode()
    described = put_object(layout, [manifest], lambda: None)
    layout.object(described.name).unlink()  # it lies in the snapshot's folder
    object_list = ObjectList(server.repository.repository_id, snapshot, described, objects)
    signing = server.configuration.signing
    signature = sign_detached(signing.gnupg_home, server.repository.fingerprint, object_list.encode())
    publish_snapshot(layout, object_list, manifest, signature)
    return snapshot


def add_object(server: Server, content: bytes) -> StoredObject:
    """Store an object."""
    return put_object(server.repository.layout, [content], lambda: None)


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server with six hourly snapshots: each has an object of its own, and all share one."""
    made = make_server()
    shared = add_object(made, b"shared")
    for hour in range(6):
        add_snapshot(made, START + timedelta(hours=hour), (shared, add_object(made, f"hour {hour}".encode())))
    return made


def with_retention(server: Server, retention: Retention) -> Configuration:
    """Return the server's configuration with another retention."""
    return server.configuration.model_copy(update={"retention": retention})


def run(server: Server, retention: Retention, *, is_dry_run: bool = False) -> PruneResult:
    """Prune the server's repository."""
    return prune(with_retention(server, retention), is_dry_run=is_dry_run, report=ignore_events, now=datetime.now(UTC))


@pytest.mark.format("3.3")
def test_removes_and_keeps(server: Server) -> None:
    """Snapshots that no rule keeps go with their objects; a shared object stays; the rest is whole."""
    before = list_snapshots(server.repository.layout)
    result = run(server, Retention(last=2))
    assert list_snapshots(server.repository.layout) == before[-2:] == list(result.kept)
    assert list(result.removed) == before[:4]
    assert result.objects_removed == 4
    checked = verify(server.path, None, patience=timedelta(0), report=ignore_events, now=datetime.now(UTC))
    assert (checked.findings, checked.objects, checked.unreferenced) == ((), 3, 0)
    assert list(server.repository.layout.temporary.iterdir()) == []


def test_dry_run(server: Server) -> None:
    """A dry run tells the same and removes nothing."""
    before = list_snapshots(server.repository.layout)
    told = run(server, Retention(last=2), is_dry_run=True)
    assert list_snapshots(server.repository.layout) == before
    assert told.removed == run(server, Retention(last=2)).removed


def test_no_rules_keep_the_newest(server: Server) -> None:
    """An empty policy still keeps the newest snapshot."""
    newest = list_snapshots(server.repository.layout)[-1]
    assert run(server, Retention()).kept == (newest,)


def test_orphans_go(server: Server) -> None:
    """Objects of a snapshot that never came, and unfinished files, go with the next prune."""
    orphan = add_object(server, b"never named")
    (server.repository.layout.temporary / "object-1-abc").write_bytes(b"half")
    assert run(server, Retention(last=6)).objects_removed == 1
    assert not server.repository.layout.object(orphan.name).exists()


@pytest.mark.format("3.3")
def test_unreadable_list_removes_nothing(server: Server) -> None:
    """If the list of a snapshot that stays cannot be read, nothing at all is removed."""
    layout = server.repository.layout
    before = list_snapshots(layout)
    damaged = layout.snapshot(before[-1]) / "objects.sha256"
    damaged.chmod(0o644)
    damaged.write_bytes(b"rot")
    objects = sorted(layout.objects.rglob("*.gpg"))
    with pytest.raises(IntegrityError, match=str(before[-1])):
        run(server, Retention(last=2))
    assert list_snapshots(layout) == before
    assert sorted(layout.objects.rglob("*.gpg")) == objects


def test_locked(server: Server) -> None:
    """Nothing is removed while a backup runs."""
    with repository_lock(server.repository.layout, "backup", START), pytest.raises(LockedError):
        run(server, Retention(last=1))
    assert len(list_snapshots(server.repository.layout)) == 6


def test_a_dry_run_names_the_rules(server: Server) -> None:
    """Of what stays the rules are named, and of what would go that none keeps it; nothing is removed."""
    result = run(server, Retention(last=1, hourly=2), is_dry_run=True)
    made = list_snapshots(server.repository.layout)
    assert [result.kept_by[one] for one in result.kept] == [("hourly",), ("last", "hourly")]
    assert (result.kept, result.removed) == (tuple(made[-2:]), tuple(made[:-2]))
    config = server.write_configuration()
    config.write_text(config.read_text() + "\n[retention]\nlast = 1\nhourly = 2\n")
    printed = command("prune", "--dry-run", "--config", str(config)).stdout.splitlines()
    assert printed[0] == f"would remove {made[0]}: no rule keeps it"
    assert printed[-2] == f"would keep {made[-1]}: last and hourly"
