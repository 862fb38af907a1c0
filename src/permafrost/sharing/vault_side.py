"""The vault's side of Syncthing: what it receives, and from which servers."""

from __future__ import annotations

from pathlib import Path

from permafrost.repository.layout import SYNCTHING_IGNORES
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, ensure_device, ensure_folder
from permafrost.vault.invitation import PROOF_PREFIX
from permafrost.vault.settings import Vault, VaultServer


def name_after_joining(client: Client, own_id: str, vault: Vault) -> str:
    """Return what the Syncthing is called afterwards: a foreign one as before, unless an earlier join was killed."""
    present = str((client.device(own_id) or {}).get("name") or "")
    if vault.settings.syncthing.managed or present.startswith(PROOF_PREFIX):
        return vault.settings.name
    return present


def ensure_server(client: Client, vault: Vault, server: VaultServer) -> None:
    """Make the vault's Syncthing know the server, and receive its folders from it and from nobody else."""
    looked_for = ("dynamic",) if vault.settings.syncthing.discovery else ()
    addresses = tuple(dict.fromkeys((*server.addresses, *looked_for))) or ("dynamic",)
    if vault.settings.syncthing.managed or client.device(server.device_id) is None:
        ensure_device(
            client, Device(server.device_id, server.name, addresses)
        )  # else it is somebody's, as he set it up
    place = vault.root / server.name
    offered = set(server.folder_ids)
    for present in client.folders():  # left by an earlier invitation, under which the vault had another name
        if Path(str(present["path"])).parent == place and present["id"] not in offered:
            client.remove_folder(str(present["id"]))
    for folder in vault.folders_of(server, SYNCTHING_IGNORES):
        ensure_folder(client, folder, [server.device_id])
