"""snapshots: what a server knows of each of its own, and what anyone can see of a copy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from permafrost.operations.snapshots import list_own, list_repository
from permafrost.repository.layout import SnapshotId
from permafrost.repository.snapshots import OBJECT_LIST
from samples.server_state import NOW, history_of, make_server_state
from tests.fixtures.commands import command
from tests.fixtures.server import MakeServer
from tests.operations.test_prune import add_object, add_snapshot


def test_what_a_server_knows(tmp_path: Path) -> None:
    """Audits, proofs, vaults, rules and how long they hold come from records, receipts, retention and schedule."""
    configuration = make_server_state(tmp_path, history_of("vault-silent"))
    listed = {str(one.snapshot): one.own for one in list_own(configuration, NOW)}
    newest = listed[max(listed)]
    assert newest is not None
    assert newest.vaults == ("cellar",)
    assert newest.kept_by == ("last", "hourly", "daily", "weekly", "monthly")
    assert newest.kept_until == NOW.replace(minute=2) + timedelta(days=1)  # then 24 later hours have one
    known = [one for one in listed.values() if one is not None]
    assert [one.is_proven for one in known].count(True) == 1
    assert [one.is_audited for one in known].count(True) >= 1
    assert all(one.kept_until is not None and one.kept_until > NOW for one in known)


def test_what_is_printed(make_server: MakeServer) -> None:
    """The command prints it below each snapshot; with --repository it knows no records, and says nothing of them."""
    server = make_server()
    snapshot = add_snapshot(server, NOW, (add_object(server, b"one"),))
    config = str(server.write_configuration())
    first, second = command("snapshots", "--config", config).stdout.splitlines()[:2]
    assert first.startswith(str(snapshot))
    assert second.startswith("    on no vault; kept by ")
    copied = command("snapshots", "--repository", str(server.path)).stdout
    assert "kept by" not in copied
    (listed,) = list_repository(server.path)
    assert listed.document().proven is None
    assert SnapshotId(listed.document().snapshot) == snapshot
    assert (server.repository.layout.snapshot(snapshot) / OBJECT_LIST).exists()
