"""The server's side of Syncthing: what it sends, and to which vaults.

Which vaults are paired is nowhere but in Syncthing's own configuration: a vault is a device that the repository's
folder is shared with. So there is no second list that could disagree.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from permafrost.config.models import Configuration, Syncthing
from permafrost.documents.vault_pairing import PairedVaultDocument
from permafrost.errors import ConfigurationError, UsageError
from permafrost.repository.layout import SYNCTHING_IGNORES
from permafrost.repository.repository import Repository
from permafrost.syncthing.access import opened
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Folder, ensure_folder, share, sharers, unshare
from permafrost.vault.admission import InvitationStore
from permafrost.vault.invitation import OfferedFolder
from permafrost.vault.receipt import NEWEST_FILE, PIN_FILE, RECEIPT_IGNORES, RECEIPTS

RECEIPTS_MIN_FREE_PERCENT = 10  # a vault must not be able to fill the server's disk by what it sends back
VAULT_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_WILDCARD = re.compile(r"^(?:default|dynamic\+.*|[a-z0-9]+://(?:0\.0\.0\.0|\[::\])?(?::\d+)?/?)$")


@dataclass(frozen=True, slots=True)
class ServerSide:
    """What pairing needs to know of the server."""

    name: str
    repository_id: str
    repository_path: Path
    fingerprint: str
    state_path: Path
    syncthing: Syncthing
    media_path: Path | None = None
    media_ignores: tuple[str, ...] = ("/cache",)

    @property
    def folders(self) -> tuple[Folder, ...]:
        """The folders that the server sends, the repository first."""
        offered = self.offered
        repository = Folder(
            offered[0].folder_id,
            f"{self.name} repository",
            self.repository_path,
            "repository",
            is_sent=True,
            ignores=SYNCTHING_IGNORES,
        )
        if self.media_path is None:
            return (repository,)
        media = Folder(
            offered[1].folder_id,
            f"{self.name} media",
            self.media_path,
            "media",
            is_sent=True,
            ignores=self.media_ignores,
        )
        return (repository, media)

    @property
    def offered(self) -> tuple[OfferedFolder, ...]:
        """The same folders, as an invitation names them."""
        repository = OfferedFolder(folder_id=repository_folder_id(self.repository_id), kind="repository")
        media = OfferedFolder(folder_id=media_folder_id(self.repository_id), kind="media")
        return (repository,) if self.media_path is None else (repository, media)

    def receipts_folder(self, vault_name: str) -> Folder:
        """The folder in which the receipts of one vault are received; no other vault sees it."""
        digest = hashlib.sha256(vault_name.encode("utf-8")).hexdigest()
        return Folder(
            f"{repository_folder_id(self.repository_id)}-receipts-{digest[:12]}",
            f"{self.name} receipts of {vault_name}",
            self.receipts_path / vault_name,
            "receipts",
            is_sent=False,
            ignores=RECEIPT_IGNORES,
            min_free_percent=RECEIPTS_MIN_FREE_PERCENT,
        )

    @property
    def receipts_path(self) -> Path:
        """Where receipts arrive, a folder for each vault."""
        return self.state_path / RECEIPTS

    def offered_to(self, vault_name: str) -> tuple[OfferedFolder, ...]:
        """The folders, as the invitation for that vault names them."""
        receipts = OfferedFolder(folder_id=self.receipts_folder(vault_name).folder_id, kind="receipts")
        return (*self.offered, receipts)

    @property
    def repository_folder_id(self) -> str:
        """The repository's folder; who shares it is a paired vault."""
        return repository_folder_id(self.repository_id)

    @property
    def invitations(self) -> InvitationStore:
        """The invitations that were given out."""
        return InvitationStore(self.state_path / "invitations")


@dataclass(frozen=True, slots=True)
class PairedVault:
    """A vault as the server sees it. `last_seen` is RFC 3339, empty if it has never been seen."""

    name: str
    device_id: str
    is_connected: bool
    address: str
    last_seen: str
    client_version: str

    def document(self) -> PairedVaultDocument:
        """Return it for JSON."""
        return PairedVaultDocument(
            name=self.name,
            device_id=self.device_id,
            is_connected=self.is_connected,
            address=self.address,
            last_seen=self.last_seen,
            client_version=self.client_version,
        )


def server_side_of(configuration: Configuration) -> ServerSide:
    """Return the server's side of the configured repository; raise `RepositoryError` if there is none.

    The fingerprint is the configuration's, if it has one: the repository's own word on it proves nothing.
    """
    media = configuration.media
    repository = Repository.open(configuration.repository.path)
    return ServerSide(
        name=configuration.server.name,
        repository_id=repository.repository_id,
        repository_path=configuration.repository.path,
        fingerprint=configuration.signing.fingerprint or repository.fingerprint,
        state_path=configuration.state.path,
        syncthing=configuration.syncthing,
        media_path=media.path if media else None,
        media_ignores=media.ignore if media else (),
    )


def repository_folder_id(repository_id: str) -> str:
    """Return the id under which Syncthing knows the repository's folder."""
    return f"permafrost-{repository_id}"


def media_folder_id(repository_id: str) -> str:
    """Return the id under which Syncthing knows the folder of the media that belong to the repository."""
    return f"permafrost-{repository_id}-media"


@contextmanager
def opened_server(server: ServerSide) -> Iterator[Client]:
    """Yield a client of the server's Syncthing, which has the folders that it sends."""
    with opened(server.syncthing, f"permafrost {server.name}") as client:
        ensure_sent_folders(client, server)
        yield client


def ensure_sent_folders(client: Client, server: ServerSide) -> None:
    """Make Syncthing have the folders that the server sends, shared with the vaults of the repository."""
    for folder in server.folders:
        if not folder.path.is_dir():
            raise ConfigurationError(
                f"the {folder.kind} folder {folder.path} is not there", hint="correct the path in the configuration"
            )
        ensure_folder(client, folder)
    vaults = sharers(client, server.repository_folder_id) - {client.own_id()}
    names = {str(one["deviceID"]): str(one["name"]) for one in client.devices()}
    for vault in vaults:  # media, or receipts, may have come after the vault
        share(client, [folder.folder_id for folder in server.folders], vault)
        if VAULT_NAME.fullmatch(names.get(vault, "")):
            ensure_folder(client, server.receipts_folder(names[vault]), [vault])


def addresses_to_offer(syncthing: Syncthing) -> tuple[str, ...]:
    """Return the fixed addresses that an invitation carries; none are needed where discovery is on.

    Raise `ConfigurationError` if a vault would have no way to find the server.
    """
    fixed = syncthing.announce or tuple(one for one in syncthing.listen if not _WILDCARD.match(one))
    if not fixed and not syncthing.discovery:
        raise ConfigurationError(
            "with discovery off, a vault needs an address of this server, and none is configured",
            hint='set announce = ["tcp://HOST:PORT"] in [syncthing]',
        )
    return (*fixed, "dynamic") if syncthing.discovery else fixed


def list_vaults(server: ServerSide) -> tuple[PairedVault, ...]:
    """Return the paired vaults, by name, as Syncthing has them."""
    with opened_server(server) as client:
        return paired_vaults(client, server)


def remove_vault(server: ServerSide, vault_name: str) -> PairedVault:
    """Make the server share nothing with the vault any more; what it holds stays there.

    An invitation for it is void. Raise `UsageError` if there is no such vault.
    """
    with opened_server(server) as client:
        paired = paired_vaults(client, server)
        found = next((one for one in paired if one.name == vault_name), None)
        server.invitations.forget(vault_name)
        if found is None:
            names = ", ".join(one.name for one in paired) or "none"
            raise UsageError(f"no vault {vault_name} is paired", hint=f"paired vaults: {names}")
        receipts = server.receipts_folder(vault_name)
        if client.folder(receipts.folder_id) is not None:
            client.remove_folder(receipts.folder_id)
        shutil.rmtree(receipts.path, ignore_errors=True)
        for kept in (PIN_FILE, NEWEST_FILE):
            receipts.path.with_name(f"{vault_name}.{kept}").unlink(missing_ok=True)
        unshare(client, [folder.folder_id for folder in server.folders], found.device_id)
        return found


def paired_vaults(client: Client, server: ServerSide) -> tuple[PairedVault, ...]:
    """Return the vaults that the repository is shared with, by name."""
    devices = {str(one["deviceID"]): str(one["name"]) for one in client.devices()}
    connections = client.connections()
    last_seen = client.last_seen()
    vaults = sharers(client, server.repository_folder_id) - {client.own_id()}
    found = []
    for device_id in vaults:
        connection = connections.get(device_id)
        seen = last_seen.get(device_id, "")
        found.append(
            PairedVault(
                devices.get(device_id, device_id),
                device_id,
                connection is not None and connection.connected,
                connection.address if connection else "",
                "" if seen.startswith("1970-") else seen,
                connection.client_version if connection else "",
            )
        )
    return tuple(sorted(found, key=lambda one: one.name))
