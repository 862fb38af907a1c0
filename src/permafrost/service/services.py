"""The two services, each one process for a service manager: the server's, and a vault's.

All that they know is on the disk: kill -9 and start is the normal path. Either is left by the signal that stops it.
A turn feeds the service manager's watchdog, but not while a job has been silent for too long.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.errors import InterruptedRunError, PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.operations.vault_invite import Doorkeeper
from permafrost.schedule import calendar_of, local_zone
from permafrost.service.job_runner import JobRunner
from permafrost.service.sd_notify import ServiceManager
from permafrost.service.syncthing_uptime import Carrying
from permafrost.sharing.server_side import ensure_sent_folders, server_side_of
from permafrost.sharing.vault_side import ensure_server
from permafrost.syncthing.client import Client
from permafrost.vault.settings import SETTINGS_FILE, Vault, open_vault
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import ReceiptWriter

TURN_S = 1.0
DOOR_S = 5.0


def run_server(configuration: Configuration, config_file: Path, report: Reporter) -> None:
    """Follow the schedule, keep Syncthing going, and let in vaults that were invited."""
    server = server_side_of(configuration)
    manager = ServiceManager(os.environ)
    carrying = Carrying(
        server.syncthing, f"permafrost {server.name}", lambda client: ensure_sent_folders(client, server), report
    )
    calendar = calendar_of(configuration.schedule, local_zone())
    jobs = JobRunner(configuration, config_file, calendar, report, datetime.now(UTC))
    doorkeeper = Doorkeeper(server, report)
    try:
        carrying.turn(0)
        manager.ready()
        door_at = 0.0
        while True:
            now = datetime.now(UTC)
            if jobs.turn(now):
                manager.alive()
            manager.status(jobs.status(now))
            if carrying.client is not None and time.monotonic() >= door_at:
                door_at = time.monotonic() + DOOR_S
                _let_in(doorkeeper, carrying.client, report)
            carrying.turn(TURN_S)
    finally:
        manager.stopping()
        jobs.ask_to_end()
        try:
            carrying.close()
        finally:
            jobs.end()


def _let_in(doorkeeper: Doorkeeper, client: Client, report: Reporter) -> None:
    try:
        for name in doorkeeper.look(client):
            report(Note(f"the vault {name} was let in"))
    except InterruptedRunError:
        raise
    except PermafrostError as error:
        report(Warned(f"invited vaults are not let in now: {error.message}"))


def run_vault(root: Path, report: Reporter) -> None:
    """Keep a vault's Syncthing up and its history kept."""
    vault = open_vault(root)
    manager = ServiceManager(os.environ)

    def prepare(client: Client) -> None:
        for server in vault.settings.servers:
            ensure_server(client, vault, server)

    carrying = Carrying(vault.syncthing(), vault.settings.name, prepare, report)
    try:
        carrying.turn(0)
        manager.ready()
        while True:
            version = _version(root)
            vault = _as_it_is_now(vault, report)
            names = ", ".join(server.name for server in vault.settings.servers) or "nobody yet"
            report(Note(f"the vault {vault.settings.name} is up and receives from {names}"))
            manager.status(f"receives from {names}")
            publish = ReceiptWriter(vault, carrying.client, report)
            with Keeper(vault, carrying.client, report, publish=publish) as keeper:
                client = carrying.client
                # a keeper works with the Syncthing that is there, or with none, and with the servers of its time
                while carrying.client is client and _version(root) == version:
                    carrying.turn(keeper.turn())
                    manager.alive()
    finally:
        manager.stopping()
        carrying.close()


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
        report(Warned(f"the vault goes on with the settings that it had: {error.message}"))
        return vault
