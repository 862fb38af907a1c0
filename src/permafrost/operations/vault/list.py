"""permafrost vault list: on the server its vaults, on a vault its servers."""

from __future__ import annotations

from pathlib import Path

from permafrost.sharing.paired_vaults import PairedVault, paired_vaults
from permafrost.sharing.server_side import ServerSide, opened_server
from permafrost.vault.settings import VaultServer, open_vault


def list_vaults(server: ServerSide) -> tuple[PairedVault, ...]:
    """Return the paired vaults, by name, as Syncthing has them."""
    with opened_server(server) as client:
        return paired_vaults(client, server)


def list_servers(root: Path) -> tuple[VaultServer, ...]:
    """Return the servers that the vault in `root` keeps."""
    return open_vault(root).settings.servers
