"""Vaults that the configuration declares: they are let in by their device id, and no longer when it drops them.

Which vaults are paired is still in Syncthing's configuration alone. Beside it, the state folder remembers which of them
were declared, so that one which is no longer declared is told from one that was invited.
"""

from __future__ import annotations

import json
from pathlib import Path

from permafrost.config.models import DeclaredVault
from permafrost.events import Note, Reporter, Warned
from permafrost.repository.durable import make_folder_durably, write_durably
from permafrost.sharing.paired_vaults import paired_vaults
from permafrost.sharing.server_side import ServerSide, take_away_other_media
from permafrost.small_files import NotAFileError, read_small
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, admit, ensure_folder, sharers, unshare

DECLARED_FILE = "declared-vaults.json"
_MOST_BYTES = 1 << 16


def admit_declared(client: Client, server: ServerSide, report: Reporter) -> None:
    """Share the server's folders with every declared vault, and with none that was declared before and is not now.

    A declared name or device that a paired vault has otherwise is reported, and that vault is left as it is.
    """
    file = server.state_path / DECLARED_FILE
    before = _read(file)
    declared = {vault.device_id: vault.name for vault in server.declared}
    paired = {vault.device_id: vault.name for vault in paired_vaults(client, server)}
    for device_id in before.keys() - declared.keys():
        if device_id in paired:
            unshare(client, server.shared_with(before[device_id]), device_id)
            report(Note(f"the vault {before[device_id]} is no longer declared: nothing more is sent to it"))
    names = {name: device_id for device_id, name in paired.items() if device_id not in before}
    for vault in server.declared:
        other = names.get(vault.name, vault.device_id)
        if other != vault.device_id:
            report(
                Warned(
                    f"the declared vault {vault.name} is not let in: another one of that name, {other}, is paired; "
                    f"permafrost vault remove {vault.name}"
                )
            )
            declared.pop(vault.device_id)
            continue
        is_new = vault.device_id not in sharers(client, server.repository_folder_id)
        _note_other_media(client, server, vault, report)
        ensure_folder(client, server.receipts_folder(vault.name))
        addresses = (*vault.addresses, "dynamic") if server.syncthing.discovery else vault.addresses
        device = Device(vault.device_id, vault.name, tuple(dict.fromkeys(addresses)) or ("dynamic",))
        admit(client, device, server.sent_to(vault.name, sealed_media=vault.sealed_media))
        if is_new:
            report(Note(f"the declared vault {vault.name} is let in"))
    if declared != before:
        make_folder_durably(file.parent, 0o750)
        write_durably(file, json.dumps(declared, sort_keys=True).encode() + b"\n", 0o600)


def is_declared_vault(server: ServerSide, name: str) -> bool:
    """Return whether the configuration declares a vault of that name."""
    return any(vault.name == name for vault in server.declared)


def _note_other_media(client: Client, server: ServerSide, vault: DeclaredVault, report: Reporter) -> None:
    if not take_away_other_media(client, server, vault.device_id, sealed_media=vault.sealed_media):
        return
    gets = "sealed media" if vault.sealed_media else "the media themselves"
    report(
        Warned(
            f"the declared vault {vault.name} gets {gets} from now on, once it has joined again with the line of "
            f"permafrost vault invite {vault.name}; what it has of the others stays there"
        )
    )


def _read(file: Path) -> dict[str, str]:
    """Return names by device id; a damaged file is as none, and then no vault is taken for one that was declared."""
    try:
        content = json.loads(read_small(file, _MOST_BYTES))
    except (FileNotFoundError, NotAFileError, ValueError, RecursionError):
        return {}
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}
