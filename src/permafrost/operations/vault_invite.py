"""Inviting a vault and letting it in: the server's half of pairing. The vault's half is in joining.py.

`invite` makes a line and `accept` lets in whoever proves to have it. A device that knocks without the proof is left
where it is, and no device or folder that is not ours is touched.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from permafrost.errors import ReplicationError, UsageError
from permafrost.events import Reporter, Steps, Warned
from permafrost.sharing.server_side import (
    VAULT_NAME,
    PairedVault,
    ServerSide,
    addresses_to_offer,
    opened_server,
    paired_vaults,
)
from permafrost.syncthing.access import wait_for_hangup
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, admit, ensure_folder, sharers
from permafrost.syncthing.holdings import wait_until_held
from permafrost.vault.admission import judge
from permafrost.vault.invitation import SECRET_BYTES, Invitation

VALID_FOR = timedelta(minutes=60)
KEPT_AFTER_EXPIRY = timedelta(days=7)
LOOK_S = 1.0
LINGER_S = 2.0
TAKEN_S = 60.0
FIRST_FILE = "repository.json"
"""The file that every repository has, and that a vault has as soon as it has anything."""

Now = Callable[[], datetime]


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


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
    if VAULT_NAME.fullmatch(vault_name) is None:
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
            folders=server.offered_to(vault_name),
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
            wait_for_hangup(client, LINGER_S)
        return tuple(one for one in paired_vaults(client, server) if one.device_id in admitted)


class Doorkeeper:
    """Lets in whoever proves to be invited, for a service: each look is short, and waits for nobody."""

    def __init__(self, server: ServerSide, report: Reporter, now: Now = now_utc) -> None:
        self._server = server
        self._report = report
        self._now = now
        self._refused: set[str] = set()

    def look(self, client: Client) -> tuple[str, ...]:
        """Return the names of the vaults that were let in just now."""
        if all(self._now() >= given.expires_at for given in self._server.invitations.all()):
            return ()
        half_done = {given.used_by: given.vault_name for given in self._server.invitations.all()}
        finished = [half_done[device_id] for device_id in _finish_half_done(client, self._server, self._now)]
        return (*finished, *_look(client, self._server, self._refused, self._report, self._now).values())


def _admit_all(
    client: Client, server: ServerSide, vault_name: str | None, deadline: float, report: Reporter, now: Now
) -> tuple[str, ...]:
    refused: set[str] = set()
    seen = 0
    paired_before = _let_in(client, server).keys()
    admitted = list(_finish_half_done(client, server, now))
    while not admitted:
        _look(client, server, refused, report, now)
        # by this look, or by the service, which looks too
        new = {device_id: name for device_id, name in _let_in(client, server).items() if device_id not in paired_before}
        admitted = [device_id for device_id, name in new.items() if vault_name in (None, name)]
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


def _look(client: Client, server: ServerSide, refused: set[str], report: Reporter, now: Now) -> dict[str, str]:
    """Let in who knocks and proves to be invited, and return their names by device id; report each refusal once."""
    admitted = {}
    own_id = client.own_id()
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
        admitted[device.device_id] = verdict.invitation.vault_name
    return admitted


def _let_in(client: Client, server: ServerSide) -> dict[str, str]:
    """Return who has been let in with an invitation that is still remembered: names by device id."""
    vaults = sharers(client, server.repository_folder_id)
    return {given.used_by: given.vault_name for given in server.invitations.all() if given.used_by in vaults}


def _admit(client: Client, server: ServerSide, vault_name: str, device_id: str) -> None:
    receipts = server.receipts_folder(vault_name)
    ensure_folder(client, receipts)
    folders = [*(folder.folder_id for folder in server.folders), receipts.folder_id]
    admit(client, Device(device_id, vault_name), folders)


def _finish_half_done(client: Client, server: ServerSide, now: Now) -> Iterator[str]:
    """Let in whom an earlier run recorded as let in before it was cut short, and yield the device ids."""
    vaults = sharers(client, server.repository_folder_id)
    for given in server.invitations.all():
        if given.used_by is not None and given.used_by not in vaults and now() < given.expires_at:
            _admit(client, server, given.vault_name, given.used_by)
            yield given.used_by
