"""permafrost vault run: a vault's service, one process for a service manager.

All state is on the disk: after kill -9 a start picks up where it left off. It ends by the signal that stops it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.repository.layout import Layout
from permafrost.repository.lock import file_lock
from permafrost.service.alerts import vault_alerts
from permafrost.service.bucket_uploads import BucketUploads, closing_uploads
from permafrost.service.declared_servers import DeclaredServers
from permafrost.service.job import Job
from permafrost.service.page import vault_page
from permafrost.service.sd_notify import ServiceManager
from permafrost.service.syncthing_uptime import SyncthingUptime
from permafrost.sharing.vault_side import ensure_server
from permafrost.syncthing.client import Client
from permafrost.vault.settings import SERVERS_FILE, SETTINGS_FILE, Vault, declare_settings, open_vault
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import ReceiptWriter

LOCK_FILE = ".service.lock"
TURN_S = 1.0
HUNG_AFTER_S = 7200.0


def run_vault(root: Path, report: Reporter, settings_file: Path | None = None) -> None:
    """Keep a vault's Syncthing up and its history kept; raise `LockedError` if a service already runs there.

    With `settings_file`, which is written elsewhere, the folder need not be a vault yet.
    """
    if settings_file is not None:
        declare_settings(root, settings_file)
    open_vault(root)
    lock = root / LOCK_FILE
    with file_lock(lock, "vault run", datetime.now(UTC), what="a service already runs for this vault"):
        _serve(root, report)


def _serve(root: Path, report: Reporter) -> None:
    declared = DeclaredServers(report)
    vault = declared.learn(open_vault(root))
    manager = ServiceManager(os.environ)

    def prepare(client: Client) -> None:
        report(Note(f"this vault's device id is {client.own_id()}"))
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
            with (
                vault_page(vault, report) as page,
                vault_alerts(vault, report) as alerts,
                Keeper(vault, uptime.client, report, publish=publish) as keeper,
                closing_uploads(_uploads(vault, report)) as uploads,
            ):
                client = uptime.client
                # a keeper works with the existing Syncthing, or with none, and with the servers of its time
                while uptime.client is client and _version(root) == version:
                    declared.turn(client, vault)
                    uptime.turn(min(keeper.turn(), TURN_S) if declared.is_waiting else keeper.turn())
                    manager.alive()
                    page(datetime.now(UTC))
                    alerts.turn(datetime.now(UTC))
                    uploads.turn(datetime.now(UTC))
    finally:
        manager.stopping()
        _give_name_back(declared, report)
        uptime.close()


def _uploads(vault: Vault, report: Reporter) -> BucketUploads:
    return BucketUploads.of(
        [bucket.name for bucket in vault.settings.buckets],
        lambda words, now: Job(words, None, now),
        tuple(Layout(vault.history(server)).snapshots for server in vault.settings.servers),
        HUNG_AFTER_S,
        report,
        ("--path", str(vault.root)),
    )


def _give_name_back(declared: DeclaredServers, report: Reporter) -> None:
    try:
        declared.close()
    except PermafrostError as error:
        report(Warned(f"the vault's name in Syncthing is still the proof of an invitation: {error.message}"))


def _version(root: Path) -> tuple[tuple[int, int], ...]:
    """Return what changes whenever a server is joined or removed, or the settings are edited."""
    found = []
    for name in (SETTINGS_FILE, SERVERS_FILE):
        with suppress(OSError):
            status = (root / name).stat()
            found.append((status.st_ino, status.st_mtime_ns))
    return tuple(found)


def _as_it_is_now(vault: Vault, report: Reporter) -> Vault:
    """Return the vault with its present settings; with those that it had if they cannot be read."""
    try:
        return open_vault(vault.root)
    except PermafrostError as error:
        report(Warned(f"the vault continues with its previous settings: {error.message}"))
        return vault
