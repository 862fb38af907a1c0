"""Pairing a vault with a server: one command on each side, and then each says that it sees the other.

On the server `invite` makes a line and `accept` lets in whoever proves to have it; on the vault `join` does the
rest. Neither side touches a device or folder that is not its own, and a device that knocks without the proof is
left where it is.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from permafrost.errors import ReplicationError, UsageError
from permafrost.events import Reporter, Steps, Warned
from permafrost.operations.server_side import PairedVault, ServerSide, addresses_to_offer, opened_server, paired_vaults
from permafrost.operations.vault_side import ensure_server
from permafrost.syncthing.access import opened
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, admit, sharers
from permafrost.syncthing.holdings import wait_until_held
from permafrost.vault.admission import GivenInvitation, judge
from permafrost.vault.invitation import SECRET_BYTES, Invitation, parse_invitation
from permafrost.vault.settings import (
    SETTINGS_FILE,
    Vault,
    VaultServer,
    VaultSettings,
    VaultSyncthing,
    open_vault,
)

VALID_FOR = timedelta(minutes=60)
KEPT_AFTER_EXPIRY = timedelta(days=7)
DIAL_S = 3.0
LOOK_S = 1.0
LINGER_S = 2.0
TAKEN_S = 60.0
FIRST_FILE = "repository.json"
"""The file that every repository has, and that a vault has as soon as it has anything."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")

Now = Callable[[], datetime]


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Joined:
    """What a vault has joined."""

    vault_name: str
    device_id: str
    server: VaultServer
    places: tuple[Path, ...]


def invite(
    server: ServerSide,
    vault_name: str,
    *,
    valid_for: timedelta = VALID_FOR,
    report: Reporter,
    now: Now = now_utc,
) -> Invitation:
    """Return a new invitation for a vault of that name, which the server knows of from now on.

    An older invitation for the same name is void. Raise `UsageError` if a vault of that name is paired already,
    `ConfigurationError` if there is no address that a vault could reach.
    """
    steps = Steps(report, 2)
    if _NAME.fullmatch(vault_name) is None:
        raise UsageError(
            f"{vault_name!r} cannot be a vault's name",
            hint="take lower-case letters, digits, dots and hyphens, for instance: attic",
        )
    addresses = addresses_to_offer(server.syncthing)
    with steps.step("prepare the folders in Syncthing"), opened_server(server) as client:
        if any(one.name == vault_name for one in paired_vaults(client, server)):
            raise UsageError(
                f"a vault {vault_name} is paired already",
                hint=f"take another name, or first: permafrost vault remove {vault_name}",
            )
        own_id = client.own_id()
    with steps.step("write the invitation"):
        moment = now()
        invitation = Invitation(
            server_name=server.name,
            server_device_id=own_id,
            repository_id=server.repository_id,
            fingerprint=server.fingerprint,
            vault_name=vault_name,
            folders=server.offered,
            addresses=addresses,
            secret=secrets.token_hex(SECRET_BYTES),
            expires_at=moment + valid_for,
        )
        server.invitations.forget_older_than(moment - KEPT_AFTER_EXPIRY)
        server.invitations.add(invitation)
    return invitation


def accept(
    server: ServerSide, *, wait_s: float, vault_name: str | None = None, report: Reporter, now: Now = now_utc
) -> tuple[PairedVault, ...]:
    """Let in the vaults that prove to be invited, and return them once they have taken the repository.

    Waits up to `wait_s` for the vault of that name, or for any. Each refusal is reported once. Raise
    `ReplicationError` if nobody was let in, or who was does not take it.
    """
    steps = Steps(report, 2)
    deadline = time.monotonic() + wait_s
    with opened_server(server) as client:
        with steps.step("wait for the invited vault" if wait_s else "look who knocks"):
            admitted = _admit_all(client, server, vault_name, deadline, report, now)
        with steps.step("wait until it has taken the repository"):
            for device_id in admitted:
                wait_until_held(
                    client, server.repository_folder_id, device_id, [FIRST_FILE], timeout_s=TAKEN_S, report=report
                )
            # The vault needs a moment to see it too, if this Syncthing ends with the command.
            client.events(("DeviceDisconnected",), client.latest_event(("DeviceDisconnected",)), LINGER_S)
        return tuple(one for one in paired_vaults(client, server) if one.device_id in admitted)


def _admit_all(
    client: Client, server: ServerSide, vault_name: str | None, deadline: float, report: Reporter, now: Now
) -> tuple[str, ...]:
    own_id = client.own_id()
    refused: set[str] = set()
    seen = 0
    admitted = list(_finish_half_done(client, server, now))
    while not admitted:
        for device in client.pending_devices():
            verdict = judge(device, own_id, server.invitations.all(), now())
            if verdict is None:
                continue  # a stranger: neither let in nor touched
            if verdict.invitation is None:
                client.dismiss_pending_device(device.device_id)
                if device.device_id not in refused:
                    refused.add(device.device_id)
                    report(Warned(f"refused {device.device_id} at {device.address}: {verdict.refusal}"))
                continue
            server.invitations.mark_used(verdict.invitation, device.device_id)
            _admit(client, server, verdict.invitation.vault_name, device.device_id)
            if vault_name in (None, verdict.invitation.vault_name):
                admitted.append(device.device_id)
        remaining_s = deadline - time.monotonic()
        if not admitted and remaining_s <= 0:
            raise ReplicationError(
                "no invited vault has asked to join" + (f"; {len(refused)} were refused" if refused else ""),
                unchanged="the paired vaults",
                hint="on the vault run permafrost vault join LINE --path DIR; here permafrost vault accept meanwhile",
            )
        if not admitted:
            events = client.events(("PendingDevicesChanged",), seen, min(LOOK_S, remaining_s))
            seen = events[-1].event_id if events else seen
    return tuple(admitted)


def _admit(client: Client, server: ServerSide, vault_name: str, device_id: str) -> None:
    admit(client, Device(device_id, vault_name), [folder.folder_id for folder in server.folders])


def _finish_half_done(client: Client, server: ServerSide, now: Now) -> Iterator[str]:
    """Let in whom an earlier run recorded as let in before it was cut short, and yield the device ids."""
    vaults = sharers(client, server.repository_folder_id)
    for given in server.invitations.all():
        if given.used_by is not None and given.used_by not in vaults and now() < given.expires_at:
            _admit(client, server, given.vault_name, given.used_by)
            yield given.used_by


def open_invitations(server: ServerSide, now: Now = now_utc) -> tuple[GivenInvitation, ...]:
    """Return the invitations that a vault could still use."""
    moment = now()
    return tuple(one for one in server.invitations.all() if one.used_by is None and moment < one.expires_at)


def join(
    line: str,
    root: Path,
    *,
    name: str | None = None,
    syncthing: VaultSyncthing | None = None,
    wait_s: float | None = None,
    report: Reporter,
    now: Now = now_utc,
) -> Joined:
    """Make the folder `root` a vault of the server that sent `line`, and return once both see each other.

    A vault that is there already keeps its name and settings, and gets another server. Waits until the invitation
    expires, or `wait_s`. Raise `UsageError` for a bad or expired line, `ReplicationError` if the server does not
    let the vault in; joining again with a valid line goes on from there.
    """
    steps = Steps(report, 4)
    with steps.step("read the invitation"):
        invitation = parse_invitation(line)
        left_s = (invitation.expires_at - now()).total_seconds()
        if left_s <= 0:
            raise UsageError(
                f"the invitation expired at {invitation.expires_at:%Y-%m-%d %H:%M} UTC",
                unchanged="everything",
                hint="ask the server for a new one: permafrost vault invite NAME; or is this machine's clock wrong?",
            )
    with steps.step("prepare the vault's folder"):
        vault = _vault_with(root.absolute(), invitation, name, syncthing)
        server = vault.server(invitation.server_name)
        vault.save()
    with opened(vault.syncthing(), vault.settings.name) as client:
        own_id = client.own_id()
        if own_id == server.device_id:
            raise UsageError("this is the server's own Syncthing", hint="join on another machine")
        with _showing(client, own_id, invitation.proof_of(own_id), vault.settings.name):
            with steps.step("prepare the folders in Syncthing"):
                ensure_server(client, vault, server)
            with steps.step("wait for the server to let the vault in"):
                _knock(client, server, left_s if wait_s is None else min(wait_s, left_s))
    places = tuple(vault.place_of(server, folder) for folder in server.folders)
    return Joined(vault.settings.name, own_id, server, places)


def _vault_with(root: Path, invitation: Invitation, name: str | None, syncthing: VaultSyncthing | None) -> Vault:
    server = VaultServer.invited_by(invitation)
    if (root / SETTINGS_FILE).exists():
        vault = open_vault(root)
        settings = vault.settings.with_server(server)
        changes = {"name": name or settings.name, "syncthing": syncthing or settings.syncthing}
    else:
        settings = VaultSettings(name=invitation.vault_name).with_server(server)
        changes = {"name": name or settings.name, "syncthing": syncthing or VaultSyncthing()}
    return Vault(root=root, settings=VaultSettings.model_validate({**settings.model_dump(), **changes}))


@contextmanager
def _showing(client: Client, own_id: str, proof: str, own_name: str) -> Iterator[None]:
    """Let the vault show the proof as its name within the block, and bear its own name afterwards."""
    client.change_device(own_id, {"name": proof})
    try:
        yield
    finally:
        client.change_device(own_id, {"name": own_name})


def _knock(client: Client, server: VaultServer, wait_s: float) -> None:
    """Return once the server has sent what its repository holds, which it does only for a vault that it let in.

    Being connected is no sign: a server lets every device come in, looks at its name, and then hangs up.
    """
    folder_id = next(folder.folder_id for folder in server.folders if folder.kind == "repository")
    deadline = time.monotonic() + wait_s
    kinds = ("DeviceConnected", "RemoteIndexUpdated")
    seen = client.latest_event(kinds)
    client.dial_again(server.device_id)  # a connection from before did not see the proof
    dialled = time.monotonic()
    while True:
        facts = client.file(folder_id, FIRST_FILE)
        if facts is not None and server.device_id in facts.available_on:
            return
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise ReplicationError(
                f"the server {server.name} has not let this vault in",
                unchanged="what the vault holds",
                hint="on the server run permafrost vault accept, and join again here meanwhile with the same line; "
                "if it was used or has expired, with a new one",
            )
        events = client.events(kinds, seen, min(LOOK_S, remaining_s))
        seen = events[-1].event_id if events else seen
        if any(
            (event.data.get("device"), event.data.get("folder")) == (server.device_id, folder_id) for event in events
        ):
            return
        if time.monotonic() - dialled > DIAL_S:
            # Left alone, Syncthing dials after 1, 2, 4 ... 32 s at first.
            client.dial_again(server.device_id)
            dialled = time.monotonic()
