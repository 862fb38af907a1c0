"""Pairing on real Syncthing: who is invited gets in, and nobody else. The tests build on one another, in this order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.config.models import Syncthing
from permafrost.errors import ConfigurationError, PermafrostError, ReplicationError, UsageError
from permafrost.events import Event, Warned
from permafrost.operations.vault.accept import accept
from permafrost.operations.vault.invite import invite
from permafrost.operations.vault.join import Joined, join
from permafrost.operations.vault.list import list_servers, list_vaults
from permafrost.operations.vault.remove import remove_server, remove_vault
from permafrost.repository.layout import SYNCTHING_IGNORES
from permafrost.repository.media_list import KEY_LIST_IGNORES
from permafrost.sharing.handshake import now_utc
from permafrost.sharing.paired_vaults import PairedVault
from permafrost.sharing.server_side import ServerSide, addresses_to_offer
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, Folder, ensure_device, ensure_folder
from permafrost.syncthing.home import read_home
from permafrost.syncthing.instance import Instance
from permafrost.vault.invitation import Invitation
from permafrost.vault.receipt_files import RECEIPT_IGNORES
from permafrost.vault.settings import VaultSyncthing
from tests.fixtures.syncthing import Peer, free_port, loopback_settings, start_together, wait_for


@dataclass(frozen=True)
class VaultMachine:
    """A machine that may become a vault; its Syncthing is kept up between the commands, as by `vault run`."""

    peer: Peer

    @property
    def root(self) -> Path:
        """The vault's folder."""
        return self.peer.folder

    @property
    def client(self) -> Client:
        """A client of its Syncthing."""
        return self.peer.client

    @property
    def syncthing(self) -> VaultSyncthing:
        """What `join` is told of it."""
        settings = self.peer.settings
        return VaultSyncthing(gui=settings.gui, listen=settings.listen, discovery=False)

    def start_again(self) -> None:
        """Make its Syncthing forget how often it has dialled lately, which would make it dial later."""
        self.client.shutdown()
        wait_for(lambda: not self.peer.instance.is_alive(), "it ends")
        self.peer.instance.mend()


@dataclass(frozen=True)
class Stage:
    """A server and two machines."""

    server: ServerSide
    client: Client
    attic: VaultMachine
    cellar: VaultMachine


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server and two machines, strangers to each other."""
    folder = tmp_path_factory.mktemp("pairing")
    for name in ("repository", "media/cache"):
        (folder / name).mkdir(parents=True)
    (folder / "repository" / "repository.json").write_text("{}")
    (folder / "media" / "cache" / "remote.png").write_text("remote")
    server = ServerSide(
        name="example.social",
        repository_id="0123456789abcdef" * 2,
        repository_path=folder / "repository",
        fingerprint="0123456789ABCDEF0123456789ABCDEF01234567",
        state_path=folder / "state",
        syncthing=loopback_settings(folder / "syncthing"),
        media_path=folder / "media",
    )
    roots = {name: folder / name for name in ("attic", "cellar")}
    with ExitStack() as stack:
        instances = [(Instance(loopback_settings(root / "syncthing"), name), root) for name, root in roots.items()]
        own = Instance(server.syncthing, "server")
        first, *machines = start_together(stack, [(own, folder), *instances])
        attic, cellar = map(VaultMachine, machines)
        yield Stage(server, first.client, attic, cellar)


def _ignore(event: Event) -> None:
    del event


def _join(machine: VaultMachine, invitation: Invitation, wait_s: float = 30) -> Joined:
    return join(invitation.as_line(), machine.root, syncthing=machine.syncthing, wait_s=wait_s, report=_ignore)


def _pair(stage: Stage, machine: VaultMachine, invitation: Invitation) -> tuple[Joined, tuple[PairedVault, ...]]:
    with ThreadPoolExecutor(1) as pool:
        accepting: Future[tuple[PairedVault, ...]] = pool.submit(accept, stage.server, wait_s=30, report=_ignore)
        return _join(machine, invitation), accepting.result()


def _refusal(stage: Stage, machine: VaultMachine, invitation: Invitation, later: timedelta = timedelta()) -> str:
    """Return why the server refuses the machine, both sides having tried."""
    for wait_s in (2.0, 6.0, 20.0):  # on a busy machine the first may be over before the knock was heard
        told: list[Event] = []
        failures: list[str] = []

        def record(call: Callable[[], object], failures: list[str] = failures) -> None:
            try:
                call()
            except PermafrostError as error:
                failures.append(type(error).__name__)

        def joins(wait_s: float = wait_s) -> Joined:
            return _join(machine, invitation, wait_s)

        def accepts(wait_s: float = wait_s, told: list[Event] = told) -> tuple[PairedVault, ...]:
            return accept(stage.server, wait_s=wait_s, report=told.append, now=lambda: now_utc() + later)

        machine.start_again()
        with ThreadPoolExecutor(1) as pool:
            joining = pool.submit(record, joins)
            record(accepts)
            joining.result()
        assert failures == ["ReplicationError", "ReplicationError"]
        warnings = {event.message for event in told if isinstance(event, Warned)}
        if warnings:
            (warning,) = warnings
            return warning
    raise AssertionError("the server has not heard it knock")


def _knocks(stage: Stage) -> set[tuple[str, str]]:
    return {(one.device_id, one.name) for one in stage.client.pending_devices()}


def test_two_commands_pair(stage: Stage) -> None:
    """Invited and joined, server and vault see each other, the files come, and both know each other by name."""
    invitation = invite(stage.server, "attic", report=_ignore)
    joined, paired = _pair(stage, stage.attic, invitation)
    assert [(one.name, one.device_id, one.is_connected) for one in paired] == [("attic", joined.device_id, True)]
    assert joined.places == tuple(stage.attic.root / "example.social" / kind for kind in ("repository", "media"))
    assert (joined.places[0] / "repository.json").exists()
    assert list_vaults(stage.server)[0].name == "attic"
    (server,) = list_servers(stage.attic.root)
    assert (server.name, server.fingerprint) == ("example.social", stage.server.fingerprint)


def test_each_side_is_set_up_as_it_should_be(stage: Stage) -> None:
    """What a server sends is send-only here and receive-only there, receipts the other way; the cache stays here, only
    receipts are in their folder, which no other vault shares, and the proof is no longer shown."""
    for client, kind, back in (
        (stage.client, "sendonly", "receiveonly"),
        (stage.attic.client, "receiveonly", "sendonly"),
    ):
        folders = [folder for folder in client.folders() if "-receipts-" not in folder["id"]]
        assert {folder["type"] for folder in folders} == {kind}
        found = {client.ignores(folder["id"]) for folder in folders}
        assert found - {KEY_LIST_IGNORES} == {SYNCTHING_IGNORES, ("/cache",)}  # a vault is ready for a media list
        (receipts,) = (folder for folder in client.folders() if "-receipts-" in folder["id"])
        assert (receipts["type"], client.ignores(receipts["id"])) == (back, RECEIPT_IGNORES)
        assert len(receipts["devices"]) == 2
        assert not any(device["autoAcceptFolders"] or device["introducer"] for device in client.devices())
    assert not (stage.attic.root / "example.social" / "media" / "cache").exists()
    own = stage.attic.client.device(stage.attic.client.own_id())
    assert own is not None
    assert own["name"] == "attic"


def test_a_used_invitation_is_refused(stage: Stage) -> None:
    """A second machine with the same line is refused, and told apart from one that never had any."""
    (used,) = [one for one in stage.server.invitations.all() if one.vault_name == "attic"]
    stage.server.invitations.forget("attic")
    again = invite(stage.server, "spare", report=_ignore)
    stage.server.invitations.mark_used(stage.server.invitations.all()[0], stage.attic.client.own_id())
    assert "the invitation of spare was used already" in _refusal(stage, stage.cellar, again)
    stage.server.invitations.forget("spare")
    assert used.used_by == stage.attic.client.own_id()


def test_a_wrong_secret_is_refused(stage: Stage) -> None:
    """A machine that knows all but the secret is refused."""
    invitation = invite(stage.server, "cellar", report=_ignore)
    forged = invitation.model_copy(update={"secret": "00" * 20})
    assert "matches no invitation" in _refusal(stage, stage.cellar, forged)


def test_an_expired_invitation_is_refused(stage: Stage) -> None:
    """Too late by the server's clock, the server refuses; by the vault's, the vault does not even ask."""
    invitation = invite(stage.server, "cellar", valid_for=timedelta(minutes=5), report=_ignore)
    assert "has expired" in _refusal(stage, stage.cellar, invitation, later=timedelta(minutes=6))
    with pytest.raises(UsageError, match="expired at"):
        join(
            invitation.as_line(),
            stage.cellar.root,
            report=_ignore,
            now=lambda: now_utc() + timedelta(minutes=6),
        )


def test_a_strangers_knock_is_left_alone(stage: Stage) -> None:
    """A device that knocks without a proof is not let in, though an invitation is open, and stays where it was."""
    invitation = invite(stage.server, "cellar", report=_ignore)
    stranger = stage.cellar.client
    stranger_id = stranger.own_id()
    stranger.change_device(stranger_id, {"name": "cellar"})
    ensure_device(stranger, Device(invitation.server_device_id, "s", invitation.addresses))
    stage.cellar.start_again()
    knock = (stranger_id, "cellar")
    wait_for(lambda: knock in _knocks(stage), "the stranger knocks")
    with pytest.raises(ReplicationError, match="no invited vault"):
        accept(stage.server, wait_s=0, report=_ignore)
    assert stage.client.device(stranger_id) is None
    assert knock in _knocks(stage)


def test_a_second_vault_joins_in_the_end(stage: Stage) -> None:
    """After all that, the machine that was refused gets in with a good line, and both vaults are listed."""
    stage.cellar.start_again()
    _pair(stage, stage.cellar, invite(stage.server, "cellar", report=_ignore))
    assert [one.name for one in list_vaults(stage.server)] == ["attic", "cellar"]


def test_a_syncthing_that_runs_already_is_used_as_it_is(stage: Stage, tmp_path: Path) -> None:
    """With managed = false the same is done by address and key; its other folders and devices stay as they are."""
    foreign = Folder("photos", "photos", tmp_path / "photos", "media", is_sent=True)
    ensure_folder(stage.client, foreign)
    before = stage.client.folder("photos")
    key_file = tmp_path / "key"
    key_file.write_text(read_home(stage.server.syncthing.home).api_key + "\n")
    key_file.chmod(0o600)
    url = f"http://{stage.server.syncthing.gui}"
    unmanaged = Syncthing(managed=False, url=url, api_key_file=key_file, listen=stage.server.syncthing.listen)
    server = replace(stage.server, syncthing=unmanaged)
    assert [one.name for one in list_vaults(server)] == ["attic", "cellar"]
    assert invite(server, "third", report=_ignore).addresses == (*unmanaged.listen, "dynamic")
    assert stage.client.folder("photos") == before
    stage.client.remove_folder("photos")
    nobody = replace(server, syncthing=unmanaged.model_copy(update={"url": f"http://127.0.0.1:{free_port()}"}))
    with pytest.raises(ReplicationError, match="no Syncthing answers"):
        list_vaults(nobody)


def test_a_name_is_invited_once(stage: Stage) -> None:
    """A vault's name that is taken, or that is no name, is refused."""
    with pytest.raises(UsageError, match="already paired"):
        invite(stage.server, "attic", report=_ignore)
    with pytest.raises(UsageError, match="not a valid vault name"):
        invite(stage.server, "../attic", report=_ignore)


def test_an_admission_that_was_cut_short_is_finished(stage: Stage) -> None:
    """If the server died between letting a vault in and sharing with it, the next `accept` finishes that."""
    cellar_id = stage.cellar.client.own_id()
    folder_id = stage.server.repository_folder_id
    folder = stage.client.folder(folder_id)
    assert folder is not None
    devices = [one for one in folder["devices"] if one["deviceID"] != cellar_id]
    stage.client.change_folder(folder_id, {"devices": devices})
    stage.cellar.start_again()
    assert [one.name for one in accept(stage.server, wait_s=0, report=_ignore)] == ["cellar"]


def test_a_removed_vault_gets_nothing_more(stage: Stage) -> None:
    """Removed on the server, a vault is no longer known there; it keeps its files, and may be invited again."""
    removed = remove_vault(stage.server, "cellar")
    assert [one.name for one in list_vaults(stage.server)] == ["attic"]
    assert stage.client.device(removed.device_id) is None
    assert (stage.cellar.root / "example.social" / "repository" / "repository.json").exists()
    with pytest.raises(UsageError, match="no vault cellar") as caught:
        remove_vault(stage.server, "cellar")
    assert "attic" in caught.value.hint
    stage.cellar.start_again()
    _pair(stage, stage.cellar, invite(stage.server, "cellar", report=_ignore))


def test_a_vault_forgets_a_server(stage: Stage) -> None:
    """Removed on the vault, the server and its folders are no longer in its Syncthing; the files stay."""
    remove_server(stage.cellar.root, "example.social", report=_ignore)
    assert list_servers(stage.cellar.root) == ()
    assert stage.cellar.client.folders() == ()
    assert len(stage.cellar.client.devices()) == 1
    assert (stage.cellar.root / "example.social" / "repository" / "repository.json").exists()


def test_a_vault_with_a_syncthing_that_runs_already(stage: Stage, tmp_path: Path) -> None:
    """It gets our folders and the server, and is otherwise as it was, during and after; so it is when we are gone."""
    remove_vault(stage.server, "cellar")
    stage.cellar.start_again()
    client, home = stage.cellar.client, stage.cellar.peer.settings.home
    friend = "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2"
    ensure_device(client, Device(friend, "friend"))
    ensure_folder(client, Folder("photos", "photos", tmp_path / "photos", "media", is_sent=True), [friend])
    client.change_device(client.own_id(), {"name": "somebody's laptop"})
    before = (client.folders(), client.devices(), client.options(), client.default_folder())
    key_file = tmp_path / "key"
    key_file.write_text(read_home(home).api_key + "\n")
    key_file.chmod(0o600)
    url = f"http://{stage.cellar.peer.settings.gui}"
    own = VaultSyncthing(managed=False, url=url, api_key_file=key_file)
    root = tmp_path / "vault"
    line = invite(stage.server, "laptop", report=_ignore).as_line()
    with ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(accept, stage.server, wait_s=30, report=_ignore)
        joined = join(line, root, syncthing=own, wait_s=30, report=_ignore)
        accepting.result()
    assert not (root / "syncthing").exists()
    ours = set(joined.server.folder_ids)
    assert [one for one in client.folders() if one["id"] not in ours] == list(before[0])
    assert [one for one in client.devices() if one["deviceID"] != joined.server.device_id] == list(before[1])
    assert (client.options(), client.default_folder()) == before[2:]
    assert stage.cellar.peer.instance.is_answering()
    remove_server(root, "example.social", report=_ignore)
    assert (client.folders(), client.devices(), client.options(), client.default_folder()) == before
    with pytest.raises(ValueError, match="api_key_file"):
        VaultSyncthing(managed=False, url=url)


def test_an_invitation_needs_an_address() -> None:
    """With discovery off and only wildcard addresses nobody could come; with a fixed one, that is offered."""
    home = Path("/nowhere")
    with pytest.raises(ConfigurationError, match="needs an address"):
        addresses_to_offer(Syncthing(home=home, discovery=False, listen=("default", "tcp://0.0.0.0:22000")))
    listen = (f"tcp://127.0.0.1:{free_port()}", "quic://:22000", "tcp://[::]:22000")
    assert addresses_to_offer(Syncthing(home=home, discovery=False, listen=listen)) == listen[:1]
    announced = Syncthing(home=home, announce=("tcp://example.social:22000",))
    assert addresses_to_offer(announced) == ("tcp://example.social:22000", "dynamic")
