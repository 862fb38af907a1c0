"""Sealed media from a server to a vault, over two real Syncthings: invited, carried, kept, checked, and restored."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.cli.shared.status_lines import media_text
from permafrost.events import ignore_events
from permafrost.loading.media.source import media_source
from permafrost.operations.vault.accept import accept
from permafrost.operations.vault.invite import invite
from permafrost.operations.vault.join import join
from permafrost.operations.vault.list import list_vaults
from permafrost.operations.vault.remove import remove_vault
from permafrost.repository.media_list import MEDIA_LIST
from permafrost.sharing.server_side import ensure_sent_folders, media_folder_id, server_side_of
from permafrost.status.places import media_document
from permafrost.syncthing.folders import Device, admit, share, sharers
from permafrost.syncthing.instance import Instance
from permafrost.vault.invitation import media_list_folder_id
from permafrost.vault.media.balance import noted_balance
from permafrost.vault.settings import Vault, VaultSyncthing, open_vault
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import receipt_of
from tests.fixtures.carried import turn_until
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.delivery import Clock, Sender
from tests.fixtures.sealing import (
    CONTENT_PART,
    NAME_PART,
    SealingServer,
    files_of,
    has_bytes,
    make_sealing_server,
)
from tests.fixtures.server import SigningKey
from tests.fixtures.syncthing import Peer, loopback_settings, start_together

LISTED = b"what the media list says of files"
OTHER_DEVICE = "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2"
HALF_AN_HOUR = timedelta(minutes=31)


@dataclass(frozen=True)
class Paired:
    """A server that seals its media, and the vault that gets them."""

    sealing: SealingServer
    server: Peer
    vault_peer: Peer
    vault: Vault

    @property
    def history(self) -> Path:
        """The vault's own copies."""
        return self.vault.history(self.vault.settings.servers[0])


@pytest.fixture
def paired(tmp_path: Path, signing_key: SigningKey) -> Iterator[Paired]:
    """A server and a vault that was invited with sealed media, and has joined."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    (sealing.server.path / MEDIA_LIST).mkdir()
    (sealing.server.path / MEDIA_LIST / "index.json").write_text("{}")
    listed = sealing.configuration.state.path / MEDIA_LIST
    listed.mkdir(parents=True)
    (listed / "index.json").write_bytes(LISTED)
    settings, vault_settings = (
        loopback_settings(tmp_path / "syncthing"),
        loopback_settings(tmp_path / "vault/syncthing"),
    )
    sealing.server = replace(
        sealing.server, configuration=sealing.configuration.model_copy(update={"syncthing": settings})
    )
    with ExitStack() as stack:
        instances = [(Instance(settings, "server"), tmp_path), (Instance(vault_settings, "attic"), tmp_path / "vault")]
        server, vault_peer = start_together(stack, instances)
        side = server_side_of(sealing.configuration)
        line = invite(side, "attic", sealed_media=True, report=ignore_events).as_line()
        own = VaultSyncthing(gui=vault_settings.gui, listen=vault_settings.listen, discovery=False)
        with ThreadPoolExecutor(1) as pool:
            accepting = pool.submit(accept, side, wait_s=30, report=ignore_events)
            join(line, tmp_path / "vault", syncthing=own, wait_s=30, report=ignore_events)
            accepting.result()
        yield Paired(sealing, server, vault_peer, open_vault(tmp_path / "vault"))


def test_everything(paired: Paired, tmp_path: Path) -> None:
    """Nothing can be read on the vault, which checks every byte; what it has is restored as of each snapshot."""
    sealing, clock, said = paired.sealing, Clock(), list[object]()
    for number in range(20):
        sealing.write(number)
    sealing.write(20, 9 << 20)
    (sealing.media / sealing.write(7)).chmod(0o600)
    sealing.seal()
    server = paired.vault.settings.servers[0]
    with Keeper(paired.vault, paired.vault_peer.client, said.append, moment=clock.read) as keeper:
        records = keeper.servers[0].records

        def codes() -> set[str]:
            return {finding.code for finding in records.ledger.open()}

        def held() -> tuple[int, int]:
            clock.pass_time(HALF_AN_HOUR)
            balance = noted_balance(records)
            return (balance.needed, balance.held) if balance is not None else (0, 0)

        count = len(sealing.objects())
        turn_until(keeper, lambda: held() == (count, count), "all objects are kept")
        first, first_files = (
            Sender(sealing.server.repository, sealing.key).snapshot(clock.wall),
            files_of(sealing.media),
        )
        paired.server.client.scan(server_side_of(sealing.configuration).repository_folder_id)
        turn_until(keeper, lambda: str(first) in {kept.snapshot for kept in records.arrivals("kept")}, "it is kept")

        # what has rotted is found by its name, and fetched again
        victim = max((paired.history / "media" / "objects").rglob("*.gpg"), key=lambda file: file.stat().st_size)
        flip_a_bit(victim, 1_000_000)
        clock.pass_time(timedelta(days=7))
        turn_until(keeper, lambda: "mended" in codes(), "what has rotted is fetched again")

        # replaced, deleted and changed after that snapshot
        sealing.write(3, 5000)
        (sealing.media / sealing.write(4)).unlink()
        (sealing.media / sealing.write(7)).chmod(0o644)
        (sealing.media / sealing.write(20, 9 << 20)).unlink()
        sealing.seal()
        for _ in range(5):
            sealing.seal(timedelta(days=1))
        needed = len(sealing.objects())
        turn_until(keeper, lambda: held() == (needed, needed), "the new objects are kept")
        second = Sender(sealing.server.repository, sealing.key).snapshot(clock.wall)
        paired.server.client.scan(server_side_of(sealing.configuration).repository_folder_id)
        turn_until(keeper, lambda: str(second) in {kept.snapshot for kept in records.arrivals("kept")}, "it is kept")
        assert not codes() & {"media-incomplete", "media-different", "media-rot", "odd-file"}
        media = receipt_of(paired.vault, keeper.servers[0].statement(clock.wall), "").media
        assert media is not None
        assert (media.sealed, media.needed, media.missing, media.rotten) == (True, needed, 0, 0)
        document = media_document(media)
        assert document is not None
        assert media_text(document).startswith(f"{needed} of {needed} sealed objects")

    assert not [part for part in (NAME_PART.encode(), CONTENT_PART, LISTED) if has_bytes(paired.vault.root, part)]
    assert not (paired.vault.received(server) / MEDIA_LIST / "index.json").exists()
    for file in (paired.history / "media" / "objects").rglob("*.gpg"):
        assert file.parent.name == file.name[:2]
    for snapshot, expected in ((first, first_files), (second, files_of(sealing.media))):
        sealed = media_source(None, paired.history, str(snapshot)).sealed(str(snapshot))
        assert sealed is not None
        target = tmp_path / f"restored-{snapshot}"
        assert sealing.restored(target, sealed.store, sealed.index).not_copied == 0
        assert files_of(target) == expected


def test_the_media_themselves_are_never_shared(paired: Paired) -> None:
    """A vault with sealed media gets no other media and no media list, whatever looks after the shared folders."""
    side = server_side_of(paired.sealing.configuration)
    client = paired.server.client
    never = [media_folder_id(side.repository_id), media_list_folder_id(side.repository_id)]
    share(client, never, paired.vault_peer.device_id)  # by hand, or by an older version
    admit(client, Device(OTHER_DEVICE, "plain"), [side.repository_folder_id])
    ensure_sent_folders(client, side)
    for folder_id in never:
        assert sharers(client, folder_id) - {client.own_id()} == {OTHER_DEVICE}
    assert OTHER_DEVICE not in sharers(client, side.sealed_folder_id)
    assert paired.vault_peer.device_id in sharers(client, side.sealed_folder_id)
    assert sorted(vault.sealed_media for vault in list_vaults(side)) == [False, True]
    remove_vault(side, "attic")
    assert paired.vault_peer.device_id not in sharers(client, side.sealed_folder_id)
