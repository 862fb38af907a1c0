"""From a real database over two real Syncthings into a history, a server that turns bad, and back."""

from __future__ import annotations

import os
from dataclasses import replace

from permafrost.events import ignore_events
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import object_path
from permafrost.repository.repository import Repository
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.carried import share, turn_until
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import Peer, peers

RECEIPT_S = 20.0
__all__ = ["peers"]


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
    folder_id, vault = share(server.repository, sender, receiver)
    history = vault.history(vault.settings.servers[0])
    before = contents_of(mastodon_database)
    with Keeper(vault, receiver.client, ignore_events) as keeper:
        records = keeper.servers[0].records
        for _ in range(2):
            place = history / "snapshots" / str(make_backup(server).snapshot)
            sender.client.scan(folder_id)
            took_s = turn_until(keeper, place.exists, "it is kept")
            assert took_s < RECEIPT_S

        victim = next((history / "objects").rglob("*.gpg"))
        flip_a_bit(victim, 100)
        known = records.object(victim.stem)
        assert known is not None
        records.record_objects([replace(known, is_good=False)])
        turn_until(keeper, lambda: not records.bad_objects(), "what has rotted is fetched again")
        assert victim.read_bytes() == (server.path / object_path(victim.stem)).read_bytes()

        received = vault.received(vault.settings.servers[0])
        _rewrite_everything(server)
        sender.client.scan(folder_id)
        wanted = (server.path / object_path(victim.stem)).read_bytes()
        turn_until(keeper, lambda: (received / object_path(victim.stem)).read_bytes() == wanted, "the junk has come")
        for file in [*(server.path / "objects").rglob("*.gpg"), *(server.path / "snapshots").rglob("*.*")]:
            if file.is_file():
                file.unlink()
        sender.client.scan(folder_id)
        turn_until(keeper, lambda: not list((received / "objects").rglob("*.gpg")), "the deletions have come")

    kept = replace(server, repository=Repository.open(history))
    try:
        make_restore(kept, "from_history")
        assert contents_of(conninfo_for(mastodon_database, dbname="from_history")) == before
    finally:
        drop(mastodon_database, "from_history")
