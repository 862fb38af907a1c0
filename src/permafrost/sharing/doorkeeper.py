"""Admits vaults that prove they were invited: they become devices with which the server's folders are shared.

No device or folder that is not ours is touched.
"""

from __future__ import annotations

from permafrost.events import Reporter
from permafrost.sharing.door import Door
from permafrost.sharing.handshake import Now, now_utc
from permafrost.sharing.server_side import ServerSide, take_away_other_media
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, admit, ensure_folder, sharers
from permafrost.vault.admission import GivenInvitation


class Doorkeeper:
    """Each look is short, and waits for nobody. Vaults are returned as names by device id."""

    def __init__(self, server: ServerSide, report: Reporter, now: Now = now_utc) -> None:
        self._server = server
        self._now = now
        self._door = Door(server.invitations.all, report, now)

    @property
    def refusals(self) -> int:
        """How many devices were refused."""
        return self._door.refusals

    def look(self, client: Client) -> tuple[str, ...]:
        """Return the names of the vaults that were let in just now; for a service, which does so all the time."""
        if all(self._now() >= given.expires_at for given in self._server.invitations.all()):
            return ()
        return (*self.finish_half_done(client).values(), *self.admit_proven(client).values())

    def admit_proven(self, client: Client) -> dict[str, str]:
        """Let in who knocks and proves to be invited, and return them."""
        admitted = {}
        for device_id, invitation in self._door.proven(client):
            self._server.invitations.mark_used(invitation, device_id)
            self._admit(client, invitation, device_id)
            admitted[device_id] = invitation.vault_name
        return admitted

    def finish_half_done(self, client: Client) -> dict[str, str]:
        """Let in whom an earlier run recorded as let in before it was cut short, and return them."""
        vaults = sharers(client, self._server.repository_folder_id)
        finished = {}
        for given in self._server.invitations.all():
            if given.used_by is not None and given.used_by not in vaults and self._now() < given.expires_at:
                self._admit(client, given, given.used_by)
                finished[given.used_by] = given.vault_name
        return finished

    def admitted(self, client: Client) -> dict[str, str]:
        """Return who has been let in, by whomever, with an invitation that is still remembered."""
        vaults = sharers(client, self._server.repository_folder_id)
        given_out = self._server.invitations.all()
        return {given.used_by: given.vault_name for given in given_out if given.used_by in vaults}

    def _admit(self, client: Client, invitation: GivenInvitation, device_id: str) -> None:
        ensure_folder(client, self._server.receipts_folder(invitation.vault_name))
        take_away_other_media(client, self._server, device_id, sealed_media=invitation.sealed_media)
        folders = self._server.sent_to(invitation.vault_name, sealed_media=invitation.sealed_media)
        admit(client, Device(device_id, invitation.vault_name), folders)
