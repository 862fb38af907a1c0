"""permafrost vault accept: the server lets in the vaults that were invited and are joining now."""

from __future__ import annotations

import time

from permafrost.errors import ReplicationError
from permafrost.events import Reporter, Steps
from permafrost.sharing.doorkeeper import Doorkeeper
from permafrost.sharing.handshake import FIRST_FILE, LOOK_S, TAKEN_S, Now, now_utc
from permafrost.sharing.paired_vaults import PairedVault, paired_vaults
from permafrost.sharing.server_side import ServerSide, opened_server
from permafrost.syncthing.access import wait_for_hangup
from permafrost.syncthing.client import Client
from permafrost.syncthing.holdings import wait_until_held

_LINGER_S = 2.0


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
        with steps.step("wait for the invited vault" if wait_s else "check for vaults that are joining"):
            admitted = _wait_until_admitted(client, Doorkeeper(server, report, now), vault_name, deadline)
        with steps.step("wait until it has received the repository"):
            for device_id in admitted:
                wait_until_held(
                    client, server.repository_folder_id, device_id, [FIRST_FILE], timeout_s=TAKEN_S, report=report
                )
            # The vault needs a moment to see it too, if this Syncthing ends with the command.
            wait_for_hangup(client, _LINGER_S)
        return tuple(vault for vault in paired_vaults(client, server) if vault.device_id in admitted)


def _wait_until_admitted(
    client: Client, doorkeeper: Doorkeeper, vault_name: str | None, deadline: float
) -> tuple[str, ...]:
    """Return the ids of the vaults that were let in, by us or by the service, which looks too."""
    seen = 0
    before = doorkeeper.admitted(client).keys()
    admitted = list(doorkeeper.finish_half_done(client))
    while not admitted:
        doorkeeper.admit_proven(client)
        new = {device_id: name for device_id, name in doorkeeper.admitted(client).items() if device_id not in before}
        admitted = [device_id for device_id, name in new.items() if vault_name in (None, name)]
        remaining_s = deadline - time.monotonic()
        if not admitted and remaining_s <= 0:
            raise ReplicationError(
                "no invited vault has asked to join"
                + (f"; {doorkeeper.refusals} were refused" if doorkeeper.refusals else ""),
                unchanged="the paired vaults",
                hint="on the vault run permafrost vault join LINE --path DIR; here permafrost vault accept meanwhile",
            )
        if not admitted:
            events = client.events(("PendingDevicesChanged",), seen, min(LOOK_S, remaining_s))
            seen = events[-1].event_id if events else seen
    return tuple(admitted)
