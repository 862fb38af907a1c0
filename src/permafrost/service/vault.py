"""permafrost vault run: a vault's service, one process for a service manager.

All state is on the disk: after kill -9 a start picks up where it left off. It ends by the signal that stops it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.repository.lock import file_lock
from permafrost.service.page import vault_page
from permafrost.service.sd_notify import ServiceManager
from permafrost.service.syncthing_uptime import SyncthingUptime
from permafrost.sharing.vault_side import ensure_server
from permafrost.syncthing.client import Client
from permafrost.vault.settings import SETTINGS_FILE, Vault, open_vault
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import ReceiptWriter

LOCK_FILE = ".service.lock"


def run_vault(root: Path, report: Reporter) -> None:
    """Keep a vault's Syncthing up and its history kept; raise `LockedError` if a service already runs there."""
    open_vault(root)
    lock = root / LOCK_FILE
    with file_lock(lock, "vault run", datetime.now(UTC), what="a service already runs for this vault"):
        _serve(root, report)


def _serve(root: Path, report: Reporter) -> None:
    vault = open_vault(root)
    manager = ServiceManager(os.environ)

    def prepare(client: Client) -> None:
        for server in vault.settings.servers:
            ensure_server(client, vault, server)

    uptime = SyncthingUptime(vault.syncthing(), vault.settings.name, prepare, report)
    try:
        uptime.turn(0)
        manager.ready()
        while True:
            version = _version(root)
            vault = _as_it_is_now(vault, report)
            names = ", ".join(server.name for server in vault.settings.servers) or "nobody yet"
            report(Note(f"the vault {vault.settings.name} is up and receives from {names}"))
            manager.status(f"receives from {names}")
            publish = ReceiptWriter(vault, uptime.client, report)
            with vault_page(vault, report) as page, Keeper(vault, uptime.client, report, publish=publish) as keeper:
                client = uptime.client
                # a keeper works with the existing Syncthing, or with none, and with the servers of its time
                while uptime.client is client and _version(root) == version:
                    uptime.turn(keeper.turn())
                    manager.alive()
                    page(datetime.now(UTC))
    finally:
        manager.stopping()
        uptime.close()


def _version(root: Path) -> tuple[int, int] | None:
    """Return what changes whenever a server is joined or removed, or the settings are edited."""
    try:
        found = (root / SETTINGS_FILE).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _as_it_is_now(vault: Vault, report: Reporter) -> Vault:
    """Return the vault with its present settings; with those that it had if they cannot be read."""
    try:
        return open_vault(vault.root)
    except PermafrostError as error:
        report(Warned(f"the vault continues with its previous settings: {error.message}"))
        return vault
