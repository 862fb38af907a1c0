"""A server's repository that real Syncthings carry into a vault."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from permafrost.operations.keeping import Keeper
from permafrost.operations.server_side import ServerSide
from permafrost.operations.vault_side import ensure_server
from permafrost.repository.repository import Repository
from permafrost.syncthing.folders import ensure_folder
from permafrost.vault.settings import Vault, VaultServer, VaultSettings
from tests.fixtures.syncthing import Peer


def turn_until(keeper: Keeper, condition: Callable[[], object], what: str, within_s: float = 30.0) -> float:
    """Let the keeper work until the condition holds, and return how long that took, in seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, f"not within {within_s:.0f} s: {what}"
        time.sleep(min(keeper.turn(), 0.2))
    return time.monotonic() - started


def share(repository: Repository, sender: Peer, receiver: Peer, root: Path | None = None) -> tuple[str, Vault]:
    """Let the vault's Syncthing receive what the server's sends; return the folder's id and the vault at `root`."""
    side = ServerSide(
        name="example.social",
        repository_id=repository.repository_id,
        repository_path=repository.path,
        fingerprint=repository.fingerprint,
        state_path=sender.folder / "state",
        syncthing=sender.settings,
        media_path=None,
    )
    kept = VaultServer(
        name=side.name,
        repository_id=side.repository_id,
        fingerprint=side.fingerprint,
        device_id=sender.device_id,
        addresses=(sender.address,),
        folders=side.offered,
    )
    vault = Vault(root=root or receiver.folder, settings=VaultSettings(name="attic", servers=(kept,)))
    ensure_folder(sender.client, side.folders[0], [receiver.device_id])
    ensure_server(receiver.client, vault, kept)
    return side.repository_folder_id, vault
