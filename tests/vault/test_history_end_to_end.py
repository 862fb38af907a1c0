"""From a real database over two real Syncthings into a history, a server that turns bad, and back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from permafrost.events import ignore_events
from permafrost.operations.keeping import Keeper
from permafrost.operations.server_side import ServerSide
from permafrost.operations.vault_side import ensure_server
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import object_path
from permafrost.repository.repository import Repository
from permafrost.syncthing.folders import ensure_folder
from permafrost.vault.settings import Vault, VaultServer, VaultSettings
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import Peer, peers
from tests.operations.test_backup_restore import contents_of, drop, make_backup, make_restore
from tests.operations.test_verify import flip_a_bit

RECEIPT_S = 20.0
__all__ = ["peers"]


def _turn_until(keeper: Keeper, condition: Callable[[], object], what: str, within_s: float = 30.0) -> float:
    """Let the keeper work until the condition holds, and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, what
        time.sleep(min(keeper.turn(), 0.2))
    return time.monotonic() - started


def _share(server: Server, sender: Peer, receiver: Peer) -> tuple[str, Vault]:
    """Let the vault's Syncthing receive what the server's sends; return the folder's id and the vault."""
    side = ServerSide(
        name="example.social",
        repository_id=server.repository.repository_id,
        repository_path=server.path,
        fingerprint=server.repository.fingerprint,
        state_path=sender.folder / "state",
        syncthing=sender.settings,
        media_path=None,
    )
    kept = VaultServer(
        name=side.name,
        repository_id=side.repository_id,
        fingerprint=side.fingerprint,
        device_id=sender.device_id,
        addresses=(sender.address,),
        folders=side.offered,
    )
    vault = Vault(root=receiver.folder, settings=VaultSettings(name="attic", servers=(kept,)))
    ensure_folder(sender.client, side.folders[0], [receiver.device_id])
    ensure_server(receiver.client, vault, kept)
    return side.repository_folder_id, vault


def _rewrite_everything(server: Server) -> None:
    """Do to the server's repository what a thief would."""
    for file in server.path.rglob("*"):
        if file.is_file() and not file.name.startswith(".st"):
            bad = file.with_name("bad")
            bad.write_bytes(os.urandom(file.stat().st_size))
            bad.replace(file)


def test_a_history_outlives_its_server(
    mastodon_database: str, make_server: MakeServer, peers: tuple[Peer, Peer]
) -> None:
    """Kept within seconds; unharmed by rewriting, then deleting everything; mended; and restored equal, row by row."""
    server = make_server(mastodon_database)
    sender, receiver = peers
    folder_id, vault = _share(server, sender, receiver)
    history = vault.history(vault.settings.servers[0])
    before = contents_of(mastodon_database)
    with Keeper(vault, receiver.client, ignore_events) as keeper:
        records = keeper.servers[0].records
        for _ in range(2):
            place = history / "snapshots" / str(make_backup(server).snapshot)
            sender.client.scan(folder_id)
            took_s = _turn_until(keeper, place.exists, "it is kept")
            assert took_s < RECEIPT_S

        victim = next((history / "objects").rglob("*.gpg"))
        flip_a_bit(victim, 100)
        known = records.object(victim.stem)
        assert known is not None
        records.record_objects([replace(known, is_good=False)])
        _turn_until(keeper, lambda: not records.bad_objects(), "what has rotted is fetched again")
        assert victim.read_bytes() == (server.path / object_path(victim.stem)).read_bytes()

        received = vault.received(vault.settings.servers[0])
        _rewrite_everything(server)
        sender.client.scan(folder_id)
        wanted = (server.path / object_path(victim.stem)).read_bytes()
        _turn_until(keeper, lambda: (received / object_path(victim.stem)).read_bytes() == wanted, "the junk has come")
        for file in [*(server.path / "objects").rglob("*.gpg"), *(server.path / "snapshots").rglob("*.*")]:
            if file.is_file():
                file.unlink()
        sender.client.scan(folder_id)
        _turn_until(keeper, lambda: not list((received / "objects").rglob("*.gpg")), "the deletions have come")

    kept = replace(server, repository=Repository.open(history))
    try:
        make_restore(kept, "from_history")
        assert contents_of(conninfo_for(mastodon_database, dbname="from_history")) == before
    finally:
        drop(mastodon_database, "from_history")
