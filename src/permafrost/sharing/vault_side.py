"""The vault's side of Syncthing: what it receives, and from which servers."""

from __future__ import annotations

from pathlib import Path

from permafrost.events import Note, Reporter
from permafrost.repository.layout import SYNCTHING_IGNORES
from permafrost.syncthing.access import opened
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, ensure_device, ensure_folder, unshare
from permafrost.vault.settings import Vault, VaultServer, open_vault


def ensure_server(client: Client, vault: Vault, server: VaultServer) -> None:
    """Make the vault's Syncthing know the server, and receive its folders from it and from nobody else."""
    looked_for = ("dynamic",) if vault.settings.syncthing.discovery else ()
    addresses = tuple(dict.fromkeys((*server.addresses, *looked_for))) or ("dynamic",)
    if vault.settings.syncthing.managed or client.device(server.device_id) is None:
        ensure_device(
            client, Device(server.device_id, server.name, addresses)
        )  # else it is somebody's, as he set it up
    place = vault.root / server.name
    offered = {folder.folder_id for folder in server.folders}
    for present in client.folders():  # left by an earlier invitation, under which the vault had another name
        if Path(str(present["path"])).parent == place and present["id"] not in offered:
            client.remove_folder(str(present["id"]))
    for folder in vault.folders_of(server, SYNCTHING_IGNORES):
        ensure_folder(client, folder, [server.device_id])


def list_servers(root: Path) -> tuple[VaultServer, ...]:
    """Return the servers that the vault in `root` keeps."""
    return open_vault(root).settings.servers


def remove_server(root: Path, name: str, *, report: Reporter) -> VaultServer:
    """Make the vault receive nothing from that server any more; what it holds of it stays on the disk."""
    vault = open_vault(root)
    server = vault.server(name)
    with opened(vault.syncthing(), vault.settings.name) as client:
        ids = [folder.folder_id for folder in server.folders]
        for folder_id in ids:
            if client.folder(folder_id) is not None:
                client.remove_folder(folder_id)
        device = client.device(server.device_id)
        is_ours = vault.settings.syncthing.managed or (device is not None and device.get("name") == server.name)
        unshare(client, ids, server.device_id, forgets_device=is_ours)
    Vault(root=vault.root, settings=vault.settings.without_server(name)).save()
    report(Note(f"its files are still in {vault.root / name}"))
    return server
