"""The two long-running services, in their first form: Syncthing is kept up until a signal comes."""

from __future__ import annotations

import threading
from pathlib import Path

from permafrost.config.models import Syncthing
from permafrost.events import Note, Reporter, Warned
from permafrost.operations.keeping import Keeper
from permafrost.operations.server_side import ServerSide, ensure_sent_folders
from permafrost.operations.vault_side import ensure_server
from permafrost.syncthing.access import foreign_client
from permafrost.syncthing.instance import Instance
from permafrost.syncthing.supervisor import Supervisor
from permafrost.vault.settings import open_vault

TURN_S = 5.0
FOREIGN_TURN_S = 30.0


def run_server_syncthing(server: ServerSide, report: Reporter) -> None:
    """Keep the server's Syncthing up with the folders that it sends; left by an error or the signal that stops it.

    One that runs by itself (managed = false) is watched, and a warning says when it is gone and when it is back.
    """
    if not server.syncthing.managed:
        _watch_foreign(server, report)
        return
    instance = Instance(server.syncthing, f"permafrost {server.name}")
    with Supervisor(instance, report) as supervisor:
        with instance.client() as client:
            ensure_sent_folders(client, server)
        report(Note(f"Syncthing is up at {server.syncthing.gui}"))
        while True:
            supervisor.wait(TURN_S)


def run_vault(root: Path, report: Reporter) -> None:
    """Keep the vault's Syncthing up and its history kept; left by an error or the signal that stops it."""
    vault = open_vault(root)
    settings: Syncthing = vault.syncthing()
    instance = Instance(settings, vault.settings.name)
    with (
        Supervisor(instance, report) as supervisor,
        instance.client() as client,
        Keeper(vault, client, report) as keeper,
    ):
        for server in vault.settings.servers:
            ensure_server(client, vault, server)
        names = ", ".join(server.name for server in vault.settings.servers) or "nobody yet"
        report(Note(f"the vault {vault.settings.name} is up and receives from {names}"))
        while True:
            supervisor.wait(keeper.turn())


def _watch_foreign(server: ServerSide, report: Reporter) -> None:
    with foreign_client(server.syncthing) as client:
        ensure_sent_folders(client, server)
        report(Note(f"Syncthing is up at {server.syncthing.url}"))
        never = threading.Event()
        was_up = True
        while not never.wait(FOREIGN_TURN_S):
            is_up = client.is_answering()
            if was_up and not is_up:
                report(Warned(f"no Syncthing answers at {server.syncthing.url}; nothing is sent meanwhile"))
            if is_up and not was_up:
                report(Note(f"Syncthing is back at {server.syncthing.url}"))
            was_up = is_up
