"""The documents of vault invite, invitations, revoke, accept, id, join, list and remove."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class PairedVaultDocument(Document):
    """A vault, as the server sees it."""

    name: str
    """the vault's name"""
    device_id: str
    """its Syncthing's device ID"""
    is_connected: bool
    """whether it is connected now"""
    address: str
    """where it is connected from; empty if it is not"""
    last_seen: str
    """when it was last connected; empty if never"""
    client_version: str
    """its Syncthing's version; empty if it is not connected"""
    sealed_media: bool
    """whether it gets media sealed to the repository's key, instead of the media themselves"""


@dataclass(frozen=True, slots=True)
class VaultInviteDocument(Document):
    """The invitation, and who was let in by it."""

    vault: str
    """the name that the vault was invited by"""
    invitation: str
    """the line for `permafrost vault join`; a secret until it is used"""
    expires_at: datetime
    """until when it can be used"""
    paired: tuple[PairedVaultDocument, ...]
    """the vault that has joined; empty with `--no-wait`"""


@dataclass(frozen=True, slots=True)
class InvitationDocument(Document):
    """An invitation that is open."""

    vault: str
    """the name that the vault is invited by"""
    expires_at: datetime
    """until when it can be used"""
    sealed_media: bool
    """whether the vault will get sealed media"""


@dataclass(frozen=True, slots=True)
class VaultInvitationsDocument(Document):
    """The invitations by which a vault could still join."""

    invitations: tuple[InvitationDocument, ...]
    """the next to expire first"""


@dataclass(frozen=True, slots=True)
class VaultRevokeDocument(Document):
    """An invitation that was taken back."""

    revoked: str
    """the name that the vault was invited by"""


@dataclass(frozen=True, slots=True)
class VaultIdDocument(Document):
    """The vault, as a server can declare it."""

    device_id: str
    """its Syncthing's device ID"""


@dataclass(frozen=True, slots=True)
class VaultAcceptDocument(Document):
    """The vaults that were let in."""

    paired: tuple[PairedVaultDocument, ...]
    """the vaults that have joined"""


@dataclass(frozen=True, slots=True)
class VaultJoinDocument(Document):
    """The server that this vault has joined."""

    vault: str
    """what the vault calls itself"""
    device_id: str
    """its Syncthing's device ID"""
    server: str
    """the server's name"""
    fingerprint: str
    """the only signing key that is trusted; compare it with the recovery sheet"""
    folders: tuple[str, ...]
    """the folders that it receives into"""


@dataclass(frozen=True, slots=True)
class OfferedFolderDocument(Document):
    """A folder that a server shares with a vault."""

    folder_id: str
    """its id in Syncthing"""
    kind: Literal["repository", "media", "media-keys", "sealed-media", "receipts"]
    """`repository`, `media`, `media-keys`, `sealed-media` or `receipts`"""


@dataclass(frozen=True, slots=True)
class KeptServerDocument(Document):
    """A server, as the vault sees it."""

    name: str
    """the server's name, and its folder's"""
    repository_id: str
    """its repository's id"""
    fingerprint: str
    """the only signing key that is trusted"""
    device_id: str
    """the device ID of its Syncthing"""
    addresses: tuple[str, ...]
    """its addresses; empty if it is searched for"""
    folders: tuple[OfferedFolderDocument, ...]
    """the folders that it sends"""


@dataclass(frozen=True, slots=True)
class VaultsDocument(Document):
    """On a server: its vaults."""

    vaults: tuple[PairedVaultDocument, ...]
    """the paired vaults"""


@dataclass(frozen=True, slots=True)
class ServersDocument(Document):
    """On a vault, with `--path`: its servers."""

    servers: tuple[KeptServerDocument, ...]
    """the servers that it keeps copies of"""


@dataclass(frozen=True, slots=True)
class VaultRemoveDocument(Document):
    """The vault that nothing more is sent to, or the server that is no longer kept."""

    removed: str
    """its name"""
