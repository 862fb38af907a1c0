"""After a snapshot is published: notifies Syncthing, and on request waits until vaults hold it."""

from __future__ import annotations

from datetime import UTC, datetime

from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError, ReplicationError
from permafrost.events import Note, Reporter, Warned
from permafrost.repository.layout import BASE_FILES, SnapshotId, object_path, snapshot_path
from permafrost.repository.media_list import MEDIA_LIST
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import MANIFEST, OBJECT_LIST, SIGNATURE, read_object_list
from permafrost.sharing.declaring import declare
from permafrost.sharing.paired_vaults import PairedVault, paired_vaults
from permafrost.sharing.server_side import ServerSide, opened_server, server_side_of
from permafrost.syncthing.access import foreign_client
from permafrost.syncthing.client import Client
from permafrost.syncthing.holdings import wait_until_held
from permafrost.syncthing.instance import Instance
from permafrost.syncthing.presence import has_syncthing
from permafrost.vault.declaration import DECLARATION_FILE


def tell_syncthing(configuration: Configuration, snapshot: SnapshotId, report: Reporter) -> None:
    """Make a running Syncthing look at what the snapshot added; one that does not run is only noted.

    There must be one that was set up (`has_syncthing`).

    The snapshot is safe here already, so nothing that goes wrong now is an error: Syncthing looks by itself when
    it starts, and once an hour.
    """
    server = server_side_of(configuration)
    try:
        declare(configuration, datetime.now(UTC))
        with _client_of_running(server) as client:
            if not client.is_answering():
                report(
                    Note("Syncthing is not running; permafrost run keeps it up, and vaults receive the snapshot then")
                )
            elif client.folder(server.repository_folder_id) is not None:
                changed = ["objects", snapshot_path(snapshot), DECLARATION_FILE, MEDIA_LIST]
                client.scan(server.repository_folder_id, changed)
                for folder in server.folders:
                    if folder.kind in ("media-keys", "media-list") and client.folder(folder.folder_id) is not None:
                        client.scan(folder.folder_id)
    except PermafrostError as error:
        report(Warned(f"Syncthing could not be notified of the snapshot: {error.message}"))
    except OSError as error:
        report(Warned(f"{DECLARATION_FILE} could not be written: {error}"))


def tell_of_sealed_media(configuration: Configuration, report: Reporter) -> None:
    """Make a running Syncthing look at what was sealed; if none runs, it looks by itself when it starts."""
    if not has_syncthing(configuration.syncthing):
        return
    server = server_side_of(configuration)
    try:
        with _client_of_running(server) as client:
            if client.is_answering() and client.folder(server.sealed_folder_id) is not None:
                client.scan(server.sealed_folder_id)
    except PermafrostError as error:
        report(Warned(f"Syncthing could not be notified of the sealed media: {error.message}"))


def _client_of_running(server: ServerSide) -> Client:
    if server.syncthing.managed:
        return Instance(server.syncthing, f"permafrost {server.name}").client()
    return foreign_client(server.syncthing)


def wait_for_vaults(
    configuration: Configuration,
    snapshot: SnapshotId,
    *,
    vault_name: str | None = None,
    timeout_s: float,
    report: Reporter,
) -> tuple[str, ...]:
    """Return the names of the paired vaults (or of the one asked for) once each holds the whole snapshot.

    First the objects, then the snapshot's own files, as Syncthing keeps no order. A managed Syncthing that does
    not run is run for as long as this takes. Raise `ReplicationError` if there is no vault, or one makes no
    progress for `timeout_s`.
    """
    server = server_side_of(configuration)
    repository = Repository.open(configuration.repository.path)
    declare(configuration, datetime.now(UTC))
    object_list, _, _ = read_object_list(repository.layout, snapshot)
    objects = [object_path(stored.name) for stored in object_list.objects]
    folder = snapshot_path(snapshot)
    files = [*BASE_FILES, *(f"{folder}/{name}" for name in (MANIFEST, OBJECT_LIST, SIGNATURE))]
    with opened_server(server) as client:
        vaults = _chosen(paired_vaults(client, server), vault_name)
        for vault in vaults:
            report(Note(f"waiting until the vault {vault.name} holds {snapshot}"))
            for paths in (objects, files):
                wait_until_held(
                    client, server.repository_folder_id, vault.device_id, paths, timeout_s=timeout_s, report=report
                )
    return tuple(vault.name for vault in vaults)


def _chosen(paired: tuple[PairedVault, ...], name: str | None) -> tuple[PairedVault, ...]:
    chosen = tuple(vault for vault in paired if name in (None, vault.name))
    if not chosen:
        raise ReplicationError(
            "no vault is paired" if name is None else f"no vault {name} is paired",
            hint="pair one with: permafrost vault invite NAME",
        )
    return chosen
