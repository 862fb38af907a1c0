"""permafrost vault id: the device id by which a server can declare this vault."""

from __future__ import annotations

from pathlib import Path

from permafrost.syncthing.access import opened
from permafrost.vault.settings import SETTINGS_FILE, Vault, VaultSettings, declare_settings, open_vault


def vault_device_id(root: Path, settings_file: Path | None = None) -> str:
    """Return the device id of the vault's Syncthing, whose keys are made if there are none.

    The folder need not be a vault yet: it becomes one with default settings, or with those in `settings_file`.
    """
    if settings_file is not None:
        declare_settings(root, settings_file)
    if not (root / SETTINGS_FILE).exists():
        Vault(root=root.absolute(), settings=VaultSettings()).save()
    vault = open_vault(root)
    with opened(vault.syncthing(), vault.settings.name) as client:
        return client.own_id()
