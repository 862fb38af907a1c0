"""What a server may send: no more than its share of the disk, counted before it has come."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.repository.repository import Repository
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receiving import outside_the_history
from tests.fixtures.carried import share, turn_until
from tests.fixtures.delivery import Sender, make_stage, new_repository
from tests.fixtures.server import SigningKey
from tests.fixtures.syncthing import Peer, peers

MIB = 1 << 20
__all__ = ["peers"]


def test_more_than_its_share_is_not_received(
    repository: Repository,
    signing_key: SigningKey,
    peers: tuple[Peer, Peer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What goes beyond the share stays on the server, deletions come all the same, and with room the rest comes."""
    sender, receiver = peers
    folder_id, vault = share(repository, sender, receiver)
    other = make_stage(tmp_path / "other", new_repository(tmp_path / "second", signing_key), signing_key)
    second = other.server.model_copy(update={"name": "other.example"})
    servers = (*vault.settings.servers, second)
    vault = vault.model_copy(update={"settings": vault.settings.model_copy(update={"servers": servers})})
    received = vault.received(servers[0])
    disk = 20 * MIB
    monkeypatch.setattr("permafrost.vault_keeping.quota.free_bytes", lambda _: (disk, disk))
    monkeypatch.setattr("permafrost.vault_keeping.receiving.ASK_EVERY", timedelta(0))
    small, large = (repository.path / "objects" / name for name in ("small", "large"))
    with Keeper(vault, receiver.client, ignore_events) as keeper:
        first = Sender(repository, signing_key).snapshot(datetime.now(UTC))
        small.write_bytes(b"small")
        sender.client.scan(folder_id)
        turn_until(keeper, (vault.history(servers[0]) / "snapshots" / str(first)).exists, "the first is kept")
        turn_until(keeper, (received / "objects" / "small").exists, "what is small has come")
        large.write_bytes(os.urandom(17 * MIB))
        small.unlink()
        sender.client.scan(folder_id)

        def codes() -> set[str]:
            return {one.code for one in keeper.servers[0].records.ledger.open()}

        turn_until(keeper, lambda: "receiving-stopped" in codes(), "it is told")
        turn_until(keeper, lambda: not (received / "objects" / "small").exists(), "the deletion has come", 60)
        # whether it slipped in before it was counted or not: nothing more comes
        (repository.path / "objects" / "more").write_bytes(b"more")
        sender.client.scan(folder_id)
        need = receiver.client.sizes
        turn_until(keeper, lambda: need(folder_id, 0)[1] > 0, "there is more to receive")
        keeper.turn()
        assert not (received / "objects" / "more").exists()
        monkeypatch.setattr("permafrost.vault_keeping.quota.free_bytes", lambda _: (4 * disk, 4 * disk))
        turn_until(keeper, (received / "objects" / "more").exists, "with room, it comes", 90)


def test_what_lies_outside_the_history(tmp_path: Path) -> None:
    """A file counts if it has no second name, in a history; folders count, and what cannot be looked at does not."""
    kept, junk = tmp_path / "repository", tmp_path / "removed" / "deep"
    for folder in (kept, junk):
        folder.mkdir(parents=True)
    (kept / "linked").write_bytes(bytes(MIB))
    (tmp_path / "history").hardlink_to(kept / "linked")
    (kept / "pipe").symlink_to("nowhere")
    assert list(outside_the_history((kept,))) == [0]
    for number in range(300):
        (junk / str(number)).write_bytes(bytes(5000))
    *steps, measured = outside_the_history((kept, tmp_path / "removed", tmp_path / "media"))
    assert steps == [None]
    assert measured is not None
    assert 300 * 8192 < measured < 300 * 8192 * 1.2
