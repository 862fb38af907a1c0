"""The server's side of Syncthing: the folders that it sends, and those in which receipts come back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from permafrost.config.models import Configuration, DeclaredVault, Syncthing
from permafrost.errors import ConfigurationError, UsageError
from permafrost.repository.durable import make_folder_durably
from permafrost.repository.layout import SYNCTHING_IGNORES
from permafrost.repository.media_list import KEY_LIST, KEY_LIST_IGNORES, MEDIA_LIST
from permafrost.repository.repository import Repository
from permafrost.sealed_media.layout import SealedStore
from permafrost.sealed_media.store import prepare_store, seals_media
from permafrost.syncthing.access import opened
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Folder, ensure_folder, share, sharers, unshare
from permafrost.vault.admission import InvitationStore
from permafrost.vault.invitation import OfferedFolder, media_list_folder_id
from permafrost.vault.receipt_files import RECEIPT_IGNORES, RECEIPTS

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
    sealed_path: Path | None = None
    """Where sealed media are, if there are any."""
    has_media_keys: bool = False
    """Whether media are in an object store: then a folder with the list of them takes the place of theirs."""
    declared: tuple[DeclaredVault, ...] = ()

    @property
    def folders(self) -> tuple[Folder, ...]:
        """The folders that the server sends, the repository first."""
        repository = Folder(
            repository_folder_id(self.repository_id),
            f"{self.name} repository",
            self.repository_path,
            "repository",
            is_sent=True,
            ignores=SYNCTHING_IGNORES,
        )
        if self.has_media_keys:
            keys = Folder(
                media_keys_folder_id(self.repository_id),
                f"{self.name} media keys",
                self.state_path / KEY_LIST,
                "media-keys",
                is_sent=True,
                ignores=KEY_LIST_IGNORES,
            )
            return (repository, keys)
        if self.media_path is None:
            return (repository,)
        media = Folder(
            media_folder_id(self.repository_id),
            f"{self.name} media",
            self.media_path,
            "media",
            is_sent=True,
            ignores=self.media_ignores,
        )
        return tuple(filter(None, (repository, media, self.sealed_folder, self.list_folder)))

    @property
    def list_folder(self) -> Folder | None:
        """The folder of the media list; None while that is in the repository."""
        if self.media_path is None or self.sealed_path is None or not seals_media(self.sealed_path, self.state_path):
            return None
        return Folder(
            media_list_folder_id(self.repository_id),
            f"{self.name} media list",
            self.state_path / MEDIA_LIST,
            "media-list",
            is_sent=True,
            ignores=KEY_LIST_IGNORES,
        )

    @property
    def sealed_folder(self) -> Folder | None:
        """The folder of sealed media; None as long as no vault was to get any."""
        if self.sealed_path is None or not SealedStore(self.sealed_path).exists:
            return None
        return Folder(
            self.sealed_folder_id,
            f"{self.name} sealed media",
            self.sealed_path,
            "sealed-media",
            is_sent=True,
            ignores=SYNCTHING_IGNORES,
        )

    @property
    def sealed_folder_id(self) -> str:
        """The id of the folder of sealed media; a vault with which it is shared never gets the media themselves."""
        return f"{repository_folder_id(self.repository_id)}-sealed-media"

    def prepare_sealed_media(self) -> None:
        """Make the store of sealed media, from which vaults can be sent them; raise `UsageError` without media."""
        if self.sealed_path is None or self.media_path is None:
            raise UsageError(
                "no folder of media is configured that could be sealed",
                unchanged="everything",
                hint="set path in [media]; media in an object store cannot be sealed",
            )
        prepare_store(self.sealed_path, Repository.open(self.repository_path))

    def offered(self, *, sealed_media: bool) -> tuple[OfferedFolder, ...]:
        """The folders that a vault gets, as an invitation names them."""
        repository = OfferedFolder(folder_id=repository_folder_id(self.repository_id), kind="repository")
        if sealed_media:  # and never the media, nor the names that are half of their addresses on the web
            has_sealed = self.media_path is not None or self.sealed_folder is not None
            sealed = OfferedFolder(folder_id=self.sealed_folder_id, kind="sealed-media")
            return (repository, sealed) if has_sealed else (repository,)
        if self.has_media_keys:
            keys_id = media_keys_folder_id(self.repository_id)
            return (repository, OfferedFolder(folder_id=keys_id, kind="media-keys"))
        if self.media_path is None:
            return (repository,)
        return (repository, OfferedFolder(folder_id=media_folder_id(self.repository_id), kind="media"))

    def sent_to(self, vault_name: str, *, sealed_media: bool) -> list[str]:
        """The ids of the folders that are shared with a vault, in that order.

        Sealed media come first: whatever cuts this short, a vault that has that folder is known not to get the media.
        """
        offered = (*self.offered(sealed_media=sealed_media), self._offered_receipts(vault_name))
        ids = [folder.folder_id for folder in sorted(offered, key=lambda folder: folder.kind != "sealed-media")]
        return [*ids, *self._list_ids(sealed_media=sealed_media)]

    def folder_ids(self, *, sealed_media: bool) -> list[str]:
        """The ids of the folders that the server sends to a vault, whatever its name."""
        offered = self.offered(sealed_media=sealed_media)
        return [*(folder.folder_id for folder in offered), *self._list_ids(sealed_media=sealed_media)]

    def _list_ids(self, *, sealed_media: bool) -> list[str]:
        return [self.list_folder.folder_id] if self.list_folder is not None and not sealed_media else []

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

    def shared_with(self, vault_name: str) -> list[str]:
        """The ids of all folders that may be shared with a vault of that name."""
        sent = (self.repository_folder_id, *plain_folder_ids(self.repository_id), self.sealed_folder_id)
        return [*sent, self.receipts_folder(vault_name).folder_id]

    def offered_to(self, vault_name: str, *, sealed_media: bool) -> tuple[OfferedFolder, ...]:
        """The folders, as the invitation for that vault names them."""
        return (*self.offered(sealed_media=sealed_media), self._offered_receipts(vault_name))

    def _offered_receipts(self, vault_name: str) -> OfferedFolder:
        return OfferedFolder(folder_id=self.receipts_folder(vault_name).folder_id, kind="receipts")

    @property
    def repository_folder_id(self) -> str:
        """The repository's folder; who shares it is a paired vault."""
        return repository_folder_id(self.repository_id)

    @property
    def invitations(self) -> InvitationStore:
        """The invitations that were given out."""
        return InvitationStore(self.state_path / "invitations")


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
        sealed_path=configuration.sealed_media_path,
        has_media_keys=media is not None and media.public_url is not None,
        declared=configuration.vaults,
    )


def repository_folder_id(repository_id: str) -> str:
    """Return the id under which Syncthing knows the repository's folder."""
    return f"permafrost-{repository_id}"


def media_folder_id(repository_id: str) -> str:
    """Return the id under which Syncthing knows the folder of the media that belong to the repository."""
    return f"permafrost-{repository_id}-media"


def media_keys_folder_id(repository_id: str) -> str:
    """Return the id under which Syncthing knows the folder with the list of the media in an object store."""
    return f"permafrost-{repository_id}-media-keys"


def plain_folder_ids(repository_id: str) -> tuple[str, ...]:
    """Return the ids of the folders that a vault with sealed media must never get."""
    return media_folder_id(repository_id), media_keys_folder_id(repository_id), media_list_folder_id(repository_id)


@contextmanager
def opened_server(server: ServerSide) -> Iterator[Client]:
    """Yield a client of the server's Syncthing, which has the folders that it sends."""
    with opened(server.syncthing, f"permafrost {server.name}") as client:
        ensure_sent_folders(client, server)
        yield client


def ensure_sent_folders(client: Client, server: ServerSide) -> None:
    """Make Syncthing have the folders that the server sends, shared with the vaults of the repository."""
    if server.sealed_path is not None and any(vault.sealed_media for vault in server.declared):
        server.prepare_sealed_media()
    for folder in server.folders:
        if folder.kind in ("media-keys", "media-list"):
            make_folder_durably(folder.path)  # the next backup writes the list
        if not folder.path.is_dir():
            raise ConfigurationError(
                f"the {folder.kind} folder {folder.path} does not exist", hint="correct the path in the configuration"
            )
        ensure_folder(client, folder)
    vaults = sharers(client, server.repository_folder_id) - {client.own_id()}
    sealed = sharers(client, server.sealed_folder_id)
    names = {str(device["deviceID"]): str(device["name"]) for device in client.devices()}
    for vault in vaults:  # media, or receipts, may have come after the vault
        take_away_other_media(client, server, vault, sealed_media=vault in sealed)
        share(client, server.folder_ids(sealed_media=vault in sealed), vault)
        if VAULT_NAME.fullmatch(names.get(vault, "")):
            ensure_folder(client, server.receipts_folder(names[vault]), [vault])


def take_away_other_media(client: Client, server: ServerSide, device_id: str, *, sealed_media: bool) -> bool:
    """Let a vault that gets sealed media not get the media themselves, and the other way round; return if it did."""
    others = plain_folder_ids(server.repository_id) if sealed_media else (server.sealed_folder_id,)
    shared = [folder_id for folder_id in others if device_id in sharers(client, folder_id)]
    if shared:
        unshare(client, shared, device_id, forgets_device=False)
    return bool(shared)


def addresses_to_offer(syncthing: Syncthing) -> tuple[str, ...]:
    """Return the fixed addresses that an invitation carries; none are needed where discovery is on.

    Raise `ConfigurationError` if a vault would have no way to find the server.
    """
    fixed = syncthing.announce or tuple(address for address in syncthing.listen if not _WILDCARD.match(address))
    if not fixed and not syncthing.discovery:
        raise ConfigurationError(
            "with discovery off, a vault needs an address of this server, and none is configured",
            hint='set announce = ["tcp://HOST:PORT"] in [syncthing]',
        )
    return (*fixed, "dynamic") if syncthing.discovery else fixed
