"""permafrost vault remove: the server sends nothing more to a vault, or a vault forgets a server."""

from __future__ import annotations

import shutil
from pathlib import Path

from permafrost.errors import UsageError
from permafrost.events import Note, Reporter
from permafrost.sharing.declared_vaults import is_declared_vault
from permafrost.sharing.paired_vaults import PairedVault, paired_vaults
from permafrost.sharing.server_side import ServerSide, opened_server
from permafrost.syncthing.access import opened
from permafrost.syncthing.folders import unshare
from permafrost.vault.receipt_files import NEWEST_FILE, PIN_FILE
from permafrost.vault.settings import Vault, VaultServer, open_vault


def remove_vault(server: ServerSide, vault_name: str) -> PairedVault:
    """Make the server share nothing with the vault any more; what it holds stays there.

    An invitation for it is void. Raise `UsageError` if there is no such vault.
    """
    if is_declared_vault(server, vault_name):
        raise UsageError(
            f"the vault {vault_name} is declared in the configuration",
            unchanged="what it receives",
            hint="remove it from [[vaults]] there, and restart the service",
        )
    with opened_server(server) as client:
        paired = paired_vaults(client, server)
        found = next((vault for vault in paired if vault.name == vault_name), None)
        server.invitations.forget(vault_name)
        if found is None:
            names = ", ".join(vault.name for vault in paired) or "none"
            raise UsageError(f"no vault {vault_name} is paired", hint=f"paired vaults: {names}")
        receipts = server.receipts_folder(vault_name)
        if client.folder(receipts.folder_id) is not None:
            client.remove_folder(receipts.folder_id)
        shutil.rmtree(receipts.path, ignore_errors=True)
        for kept in (PIN_FILE, NEWEST_FILE):
            receipts.path.with_name(f"{vault_name}.{kept}").unlink(missing_ok=True)
        unshare(client, server.shared_with(vault_name), found.device_id)
        return found


def remove_server(root: Path, name: str, *, report: Reporter) -> VaultServer:
    """Make the vault receive nothing from that server any more; what it holds of it stays on the disk."""
    vault = open_vault(root)
    server = vault.server(name)
    with opened(vault.syncthing(), vault.settings.name) as client:
        ids = list(server.folder_ids)
        for folder_id in ids:
            if client.folder(folder_id) is not None:
                client.remove_folder(folder_id)
        device = client.device(server.device_id)
        is_ours = vault.settings.syncthing.managed or (device is not None and device.get("name") == server.name)
        unshare(client, ids, server.device_id, forgets_device=is_ours)
    Vault(root=vault.root, settings=vault.settings.without_server(name)).save()
    report(Note(f"its files are still in {vault.root / name}"))
    return server
