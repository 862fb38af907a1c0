"""Which vaults are paired with the server.

That is nowhere but in Syncthing's own configuration: a vault is a device that the repository's folder is shared with.
So there is no second list that could disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.documents.vault_pairing import PairedVaultDocument
from permafrost.sharing.server_side import ServerSide
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import sharers


@dataclass(frozen=True, slots=True)
class PairedVault:
    """A vault as the server sees it. `last_seen` is RFC 3339, empty if it has never been seen."""

    name: str
    device_id: str
    is_connected: bool
    address: str
    last_seen: str
    client_version: str
    sealed_media: bool

    def document(self) -> PairedVaultDocument:
        """Return it for JSON."""
        return PairedVaultDocument(
            name=self.name,
            device_id=self.device_id,
            is_connected=self.is_connected,
            address=self.address,
            last_seen=self.last_seen,
            client_version=self.client_version,
            sealed_media=self.sealed_media,
        )


def paired_vaults(client: Client, server: ServerSide) -> tuple[PairedVault, ...]:
    """Return the vaults that the repository is shared with, by name."""
    devices = {str(device["deviceID"]): str(device["name"]) for device in client.devices()}
    connections = client.connections()
    last_seen = client.last_seen()
    sealed = sharers(client, server.sealed_folder_id)
    vaults = sharers(client, server.repository_folder_id) - {client.own_id()}
    found = []
    for device_id in vaults:
        connection = connections.get(device_id)
        seen = last_seen.get(device_id, "")
        found.append(
            PairedVault(
                devices.get(device_id, device_id),
                device_id,
                connection is not None and connection.connected,
                connection.address if connection else "",
                "" if seen.startswith("1970-") else seen,
                connection.client_version if connection else "",
                device_id in sealed,
            )
        )
    return tuple(sorted(found, key=lambda vault: vault.name))
