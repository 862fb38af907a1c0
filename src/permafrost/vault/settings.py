"""A vault's own folder: its settings, its Syncthing, and for each server what it receives.

DIR/vault.toml                     these settings; a link to a file elsewhere, if that is where they are written
DIR/servers.toml                   what the vault has joined: its name, and the servers that it keeps
DIR/syncthing/                     the home of the vault's Syncthing
DIR/signing/                       the key that receipts are signed with
DIR/SERVER/repository, media       received from that server; sealed-media instead of media where they come sealed,
                                   and media are fetched where they are in an object store
DIR/SERVER/media-keys              the received list of the media to fetch
DIR/SERVER/media-list              the received media list, where the repository must not have it
DIR/SERVER/media-parts             those that are not whole yet
DIR/SERVER/removed/...             what the server removed or replaced, for a time
DIR/SERVER/history/                the vault's own copies, out of Syncthing's reach: a repository, and media/ in it
DIR/SERVER/keeping.sqlite          what the vault knows of them: when each arrived, when it was read last

A server's name and folder ids come from an invitation, so from somebody else: a name is one plain word, and neither
names nor ids may be those of another server, or that server's folders would be in its reach.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import tomli_w
from pydantic import BaseModel, Field, field_validator, model_validator

from permafrost.config.alerting import Notify, check_names_differ
from permafrost.config.buckets import Bucket, check_bucket_names_differ
from permafrost.config.key_lines import find_key_lines
from permafrost.config.loading import load_toml, validated
from permafrost.config.models import Syncthing, Web
from permafrost.config.section import Section
from permafrost.config.values import Count, DeviceAddress, GuiAddress, Name, SecretFile
from permafrost.config.writing import effective_toml
from permafrost.documents.vault_pairing import KeptServerDocument, OfferedFolderDocument
from permafrost.errors import ConfigurationError, UsageError
from permafrost.repository.durable import fsync_folder, make_folder_durably, write_durably
from permafrost.repository.media_list import KEY_LIST, KEY_LIST_IGNORES, MEDIA_LIST
from permafrost.syncthing.folders import Folder
from permafrost.vault.fetching_settings import Fetching, MediaSource
from permafrost.vault.invitation import (
    Fingerprint,
    Invitation,
    OfferedFolder,
    RepositoryId,
    media_list_folder_id,
)
from permafrost.vault.receipt_files import RECEIPT_IGNORES

RESERVED_NAMES = frozenset(
    {"vault.toml", "servers.toml", "syncthing", "history", "receipts", "removed", "signing", "state"}
)
SETTINGS_FILE = "vault.toml"
SERVERS_FILE = "servers.toml"
DEFAULT_GUI = "127.0.0.1:8386"  # next to a server's, for whoever tries both on one machine

UNNAMED = "vault"

Days = Annotated[int, Field(ge=1, le=3650)]


class VaultSyncthing(Section):
    """The vault's Syncthing: one of its own, or one that runs already."""

    managed: bool = Field(
        default=True,
        description="Whether the vault runs a Syncthing of its own; otherwise `url` and `api_key_file` are needed.",
    )
    gui: GuiAddress = Field(
        default=DEFAULT_GUI, description="Where its REST API listens: host:port, or the absolute path of a Unix socket."
    )
    listen: tuple[str, ...] = Field(default=("default",), description="Where it listens for servers.")
    discovery: bool = Field(default=True, description="Whether it searches for servers and announces itself.")
    url: str | None = Field(default=None, description="The REST address of an existing Syncthing (managed = false).")
    api_key_file: SecretFile | None = Field(
        default=None,
        description="A file with its API key, mode 0400 or 0600, or `credential:NAME` (managed = false).",
    )

    @model_validator(mode="after")
    def _a_running_one_is_named(self) -> Self:
        if not self.managed and (self.url is None or self.api_key_file is None):
            raise ValueError("managed = false needs url and api_key_file")
        return self


class History(Section):
    """What the vault keeps of each server, whatever that server does; all by the vault's own time of arrival."""

    keep_all_hours: Annotated[int, Field(ge=1, le=8784, strict=True)] = Field(
        default=24, description="Keep every snapshot for this many hours."
    )
    hourly: Count = Field(default=48, description="Keep the first arrival of each of the last N hours that have one.")
    daily: Count = Field(default=14, description="The same for each of the last N days.")
    weekly: Count = Field(default=8, description="The same for each of the last N weeks.")
    monthly: Count = Field(default=12, description="The same for each of the last N months.")
    admitted_per_hour: Annotated[int, Field(ge=1, le=3600, strict=True)] = Field(
        default=90, description="How many snapshots of one server are taken in an hour; the rest wait."
    )
    share_percent: Annotated[int, Field(ge=1, le=95, strict=True)] = Field(
        default=80,
        description="How much of the disk all histories together may take; beyond that nothing new is taken, and "
        "nothing already kept is removed.",
    )
    reserve_percent: Annotated[int, Field(ge=2, le=50, strict=True)] = Field(
        default=5, description="How much of the disk is kept free from what servers send."
    )
    audit_days: Annotated[int, Field(ge=1, le=365, strict=True)] = Field(
        default=7, description="Within how many days everything kept is read again and compared."
    )


class VaultServer(Section):
    """A server that this vault keeps."""

    name: Name = Field(description="The server's name, and the name of its folder here.")
    repository_id: RepositoryId = Field(description="The repository's id.")
    fingerprint: Fingerprint = Field(description="The only signing key that is trusted.")
    device_id: str = Field(description="The device id of the server's Syncthing.")
    addresses: tuple[DeviceAddress, ...] = Field(default=(), description="Its addresses; empty to use discovery.")
    folders: tuple[OfferedFolder, ...] = Field(description="What it sends.")

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"{value!r} is a name that the vault reserves for itself")
        return value

    @property
    def media_folder(self) -> OfferedFolder | None:
        """The folder of its media, sealed or not; None if it sends none."""
        return next((offered for offered in self.folders if offered.kind in ("media", "sealed-media")), None)

    @property
    def list_folder_id(self) -> str | None:
        """The folder in which the media list may come apart from the repository; None where that cannot be."""
        gets_media = any(offered.kind == "media" for offered in self.folders)
        return media_list_folder_id(self.repository_id) if gets_media else None

    @property
    def folder_ids(self) -> tuple[str, ...]:
        """The ids of all folders that are shared with it."""
        list_id = self.list_folder_id
        offered = tuple(folder.folder_id for folder in self.folders)
        return (*offered, list_id) if list_id is not None else offered

    @property
    def seals_media(self) -> bool:
        """Whether its media come sealed."""
        return self.media_folder is not None and self.media_folder.kind == "sealed-media"

    def document(self) -> KeptServerDocument:
        """Return it for JSON."""
        return KeptServerDocument(
            name=self.name,
            repository_id=self.repository_id,
            fingerprint=self.fingerprint,
            device_id=self.device_id,
            addresses=self.addresses,
            folders=tuple(OfferedFolderDocument(folder.folder_id, folder.kind) for folder in self.folders),
        )

    @classmethod
    def invited_by(cls, invitation: Invitation) -> Self:
        """Return the server that the invitation tells of; raise `UsageError` if it takes a name of the vault's own."""
        if invitation.server_name in RESERVED_NAMES:
            raise UsageError(
                f"the server calls itself {invitation.server_name!r}, a name that the vault reserves for itself",
                unchanged="the vault",
                hint="on the server, set another name in [server]",
            )
        return cls(
            name=invitation.server_name,
            repository_id=invitation.repository_id,
            fingerprint=invitation.fingerprint,
            device_id=invitation.server_device_id,
            addresses=invitation.addresses,
            folders=invitation.folders,
        )


class VaultSettings(Section):
    """The whole vault.toml."""

    name: Name = Field(default=UNNAMED, description="The vault's own name. If left out, the one it was invited by.")
    line_files: tuple[SecretFile, ...] = Field(
        default=(),
        description="Files with the line of one server each, as `permafrost vault invite` prints it; the service joins "
        "those that it has not joined yet. `permafrost vault join` needs none.",
    )
    keep_removed_objects_days: Days = Field(
        default=3, description="How long objects that a server has pruned stay in removed/."
    )
    keep_removed_media_days: Days = Field(
        default=30, description="How long media that a server has deleted or replaced stay in removed/."
    )
    nothing_new_minutes: Annotated[int, Field(ge=10, le=525_600, strict=True)] | None = Field(
        default=None,
        description="Report `nothing-new` if a server has sent no whole snapshot for this many minutes. If left out, "
        "the interval of backups that it declares counts, and three hours more.",
    )
    history: History = History()
    fetching: Fetching = Fetching()
    media_sources: tuple[MediaSource, ...] = Field(
        default=(), description="One for each server whose media are fetched from another address than it names."
    )
    syncthing: VaultSyncthing = VaultSyncthing()
    web: Web = Web()
    notify: tuple[Notify, ...] = Field(default=(), description="One for each receiver of alerts.")
    buckets: tuple[Bucket, ...] = Field(
        default=(), description="One for each bucket that gets the history of every server that this vault keeps."
    )
    servers: tuple[VaultServer, ...] = Field(
        default=(), description="The servers that it keeps. Written by older versions; now they are in servers.toml."
    )

    @model_validator(mode="after")
    def _receivers_fit_a_vault(self) -> Self:
        check_names_differ(self.notify)
        if any(set(receiver.jobs) - {"findings"} for receiver in self.notify):
            raise ValueError('a vault has no jobs: jobs in [[notify]] can only be ["findings"]')
        check_bucket_names_differ(self.buckets)
        sources = [source.server for source in self.media_sources]
        if len(set(sources)) != len(sources):
            raise ValueError("two [[media_sources]] are of the same server")
        return self

    @model_validator(mode="after")
    def _servers_are_apart(self) -> Self:
        ids = [folder_id for server in self.servers for folder_id in server.folder_ids]
        for what, values in (
            ("name", [server.name for server in self.servers]),
            ("repository", [server.repository_id for server in self.servers]),
            ("folder id", ids),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two servers have the same {what}")
        return self

    def with_server(self, server: VaultServer) -> Self:
        """Return the settings with the server added, or renewed if it is the same device and repository.

        Raise `UsageError` if it takes the name, the repository or a folder of another server.
        """
        others = []
        for known in self.servers:
            is_same = (known.device_id, known.repository_id) == (server.device_id, server.repository_id)
            if is_same and known.name == server.name:
                continue
            if known.name == server.name or known.repository_id == server.repository_id:
                raise UsageError(
                    f"this vault already keeps a server {known.name}, and the invitation is from another one",
                    unchanged="the vault",
                    hint=f"if that server was set up again: permafrost vault remove {known.name} --path DIR",
                )
            others.append(known)
        try:
            return type(self).model_validate({**self.model_dump(), "servers": [*others, server]})
        except ValueError as error:
            raise UsageError("the invitation names a folder of another server", unchanged="the vault") from error

    def without_server(self, name: str) -> Self:
        """Return the settings without the server of that name."""
        return self.model_copy(update={"servers": tuple(server for server in self.servers if server.name != name)})


class Vault(BaseModel):
    """A vault's folder with its settings."""

    root: Path
    settings: VaultSettings

    def server(self, name: str) -> VaultServer:
        """Return the server of that name; raise `UsageError` if it is not kept here."""
        for server in self.settings.servers:
            if server.name == name:
                return server
        raise UsageError(f"this vault keeps no server {name}", hint="permafrost vault list --path DIR shows which")

    def syncthing(self) -> Syncthing:
        """Return how the vault's Syncthing is set up."""
        own = self.settings.syncthing
        if not own.managed:
            return Syncthing(managed=False, url=own.url, api_key_file=own.api_key_file)
        return Syncthing(home=self.root / "syncthing", gui=own.gui, listen=own.listen, discovery=own.discovery)

    def place_of(self, server: VaultServer, folder: OfferedFolder) -> Path:
        """Return where that folder of the server is received."""
        return self.root / server.name / folder.kind

    def received(self, server: VaultServer) -> Path:
        """Return the folder in which the server's repository is received."""
        return self.root / server.name / "repository"

    def media(self, server: VaultServer) -> Path | None:
        """Return the folder in which the server's media are, received (sealed or not) or fetched; None without any."""
        if self.media_keys(server) is not None:
            return self.root / server.name / "media"
        offered = server.media_folder
        return self.place_of(server, offered) if offered is not None else None

    def media_keys(self, server: VaultServer) -> Path | None:
        """Return the folder with the list of the media that are fetched; None if none are."""
        has_keys = any(offered.kind == "media-keys" for offered in server.folders)
        return self.root / server.name / KEY_LIST if has_keys else None

    def unfinished_media(self, server: VaultServer) -> Path:
        """Return the folder of the files that are being fetched."""
        return self.root / server.name / "media-parts"

    def media_source(self, server: VaultServer) -> MediaSource:
        """Return what is set for fetching the server's media."""
        sources = {source.server: source for source in self.settings.media_sources}
        return sources.get(server.name) or MediaSource(server=server.name)

    def history(self, server: VaultServer) -> Path:
        """Return the folder of the vault's own copies, a repository itself."""
        return self.root / server.name / "history"

    def records(self, server: VaultServer) -> Path:
        """Return the file of what the vault knows of its copies."""
        return self.root / server.name / "keeping.sqlite"

    def receipts_folder_id(self, server: VaultServer) -> str | None:
        """Return the folder in which the server gets its receipts; None if it was joined before there were any."""
        return next((offered.folder_id for offered in server.folders if offered.kind == "receipts"), None)

    @property
    def state(self) -> Path:
        """Return the folder with records of what was run on the vault itself: drills, and copies sent back."""
        return self.root / "state"

    @property
    def signing_home(self) -> Path:
        """Return the GnuPG home of the key that receipts are signed with."""
        return self.root / "signing"

    def folders_of(self, server: VaultServer, repository_ignores: tuple[str, ...]) -> tuple[Folder, ...]:
        """Return the folders of the server as Syncthing should have them here."""
        settings = self.settings
        media_days = settings.keep_removed_media_days
        days = {"repository": settings.keep_removed_objects_days, "media": media_days, "sealed-media": media_days}
        ignores = {
            "repository": repository_ignores,
            "media": ("/cache",),
            "media-keys": KEY_LIST_IGNORES,
            "sealed-media": repository_ignores,
        }
        received = tuple(
            Folder(
                folder_id=offered.folder_id,
                label=f"{server.name} {offered.kind}",
                path=self.place_of(server, offered),
                kind=offered.kind,
                is_sent=False,
                ignores=ignores[offered.kind],
                removed_path=self.root / server.name / "removed" / offered.kind if offered.kind in days else None,
                removed_days=days.get(offered.kind, 0),
                min_free_percent=settings.history.reserve_percent,
            )
            for offered in server.folders
            if offered.kind != "receipts"
        )
        if server.list_folder_id is not None:
            media_list = Folder(
                folder_id=server.list_folder_id,
                label=f"{server.name} media list",
                path=self.root / server.name / MEDIA_LIST,
                kind="media-list",
                is_sent=False,
                ignores=KEY_LIST_IGNORES,
                min_free_percent=settings.history.reserve_percent,
            )
            received = (*received, media_list)
        sent = tuple(
            Folder(
                folder_id=offered.folder_id,
                label=f"{server.name} receipts",
                path=self.place_of(server, offered),
                kind="receipts",
                is_sent=True,
                ignores=RECEIPT_IGNORES,
            )
            for offered in server.folders
            if offered.kind == "receipts"
        )
        return (*received, *sent)

    def save(self) -> None:
        """Write servers.toml and, unless it is written elsewhere, vault.toml; both get mode 0600.

        Raise `ConfigurationError` if settings that are written elsewhere would have to change.
        """
        make_folder_durably(self.root, 0o700)
        joined = Joined(name=self.settings.name, servers=self.settings.servers)
        write_durably(self.root / SERVERS_FILE, effective_toml(joined).encode("utf-8"), 0o600)
        file = self.root / SETTINGS_FILE
        own = self.settings.model_copy(update={"servers": ()})
        if file.is_symlink():
            declared = load_toml(file, VaultSettings)
            same = {"name": own.name, "servers": ()}  # the name is the invitation's, where the file has none
            if declared.model_copy(update=same) != own or declared.name not in (own.name, UNNAMED):
                raise ConfigurationError(
                    f"the vault's settings are written in {file.resolve()}",
                    unchanged="the settings",
                    hint="change them there, and start the vault again",
                )
            return
        text = tomli_w.dumps(own.model_dump(mode="json", exclude_none=True, exclude={"servers"}))
        write_durably(file, text.encode("utf-8"), 0o600)


class Joined(Section):
    """The whole servers.toml: state, which only permafrost writes."""

    name: Name
    servers: tuple[VaultServer, ...] = ()


def open_vault(root: Path) -> Vault:
    """Return the vault in the folder `root`; raise `ConfigurationError` if there is none, or it is not valid."""
    file = root / SETTINGS_FILE
    if not file.exists():
        raise ConfigurationError(
            f"there is no vault in {root}", hint=f"permafrost vault join LINE --path {root} creates one"
        )
    settings = load_toml(file, VaultSettings)
    if (root / SERVERS_FILE).exists():
        joined = load_toml(root / SERVERS_FILE, Joined)
        name = settings.name if "name" in settings.model_fields_set else joined.name
        both = {**settings.model_dump(), "name": name, "servers": joined.servers}
        settings = validated(both, VaultSettings, root / SERVERS_FILE, find_key_lines(""))
    return Vault(root=root.absolute(), settings=settings)


def with_invitation(vault: Vault, invitation: Invitation) -> Vault:
    """Return the vault with the server that the invitation tells of, and with the invitation's name if it has none.

    Raise `UsageError` if that server takes what is another's.
    """
    settings = vault.settings.with_server(VaultServer.invited_by(invitation))
    if settings.name == UNNAMED:
        settings = settings.model_copy(update={"name": invitation.vault_name})
    return Vault(root=vault.root, settings=settings)


def declare_settings(root: Path, file: Path) -> None:
    """Make `file`, which is written elsewhere, the settings of the vault in `root`, which need not exist yet.

    Servers that an older vault.toml names stay known; that file is kept beside.
    """
    load_toml(file, VaultSettings)
    make_folder_durably(root, 0o700)
    own = root / SETTINGS_FILE
    if own.is_symlink() and own.readlink() == file:
        return
    if own.exists() and not own.is_symlink():
        open_vault(root).save()
        own.rename(root / f"{SETTINGS_FILE}.before")
    link = root / f".{SETTINGS_FILE}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(file)
    link.replace(own)
    fsync_folder(root)
