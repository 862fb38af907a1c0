"""The documents of vault history, verify, media, receive and send-back: the copies that a vault keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.document import Document
from permafrost.documents.finding import FindingDocument, VaultFindingDocument


@dataclass(frozen=True, slots=True)
class ArrivalDocument(Document):
    """A snapshot in a vault's history."""

    snapshot: str
    """its id"""
    arrived_at: datetime | None
    """when it was taken into the history, by the machine's clock; null if that is not known"""
    objects: int
    """how many objects it needs"""
    size_bytes: int
    """their size"""


@dataclass(frozen=True, slots=True)
class ServerHistoryDocument(Document):
    """What a vault keeps of one server."""

    server: str
    """the server's name"""
    path: str
    """the history, a repository by itself"""
    snapshots: tuple[ArrivalDocument, ...]
    """the snapshots in it, in the order of their arrival"""
    objects: int
    """how many objects they need together"""
    size_bytes: int
    """their size"""
    free_bytes: int
    """what is free on the vault's disk"""
    all_verified_since: datetime | None
    """every object was read and compared since then, by the vault's own time; null if there is none"""
    findings: tuple[VaultFindingDocument, ...]
    """what was noticed"""


@dataclass(frozen=True, slots=True)
class VaultHistoryDocument(Document):
    """What a vault keeps."""

    servers: tuple[ServerHistoryDocument, ...]
    """by server"""


@dataclass(frozen=True, slots=True)
class VerifiedServerDocument(Document):
    """What was read of one server's history."""

    server: str
    """the server's name"""
    path: str
    """the history, a repository by itself"""
    snapshots: int
    """how many snapshots there are"""
    objects: int
    """how many objects were read"""
    bytes: int
    """their size"""
    duration_s: float
    """how long it took"""
    findings: tuple[FindingDocument, ...]
    """what is wrong; kinds as those of `permafrost verify`"""


@dataclass(frozen=True, slots=True)
class VaultVerifyDocument(Document):
    """What was read of the histories, and what is wrong with them. Exit code 3 or 14 if there are findings."""

    servers: tuple[VerifiedServerDocument, ...]
    """by server"""


@dataclass(frozen=True, slots=True)
class VaultMediaDocument(Document):
    """The media that were laid out. Exit code 3 if some are missing."""

    server: str
    """the server's name"""
    snapshot: str
    """the snapshot as of whose arrival the media are"""
    as_of: datetime
    """when that was, by the vault's own time"""
    files: int
    """how many files were laid out"""
    size_bytes: int
    """their size"""
    missing: int
    """how many should be in the history and are not"""
    path: str
    """the folder that was made"""


@dataclass(frozen=True, slots=True)
class VaultReceiveDocument(Document):
    """What the new server received. With --json the line for the vault is a note on stderr."""

    server: str
    """the old server's name"""
    repository: str
    """the folder with the repository"""
    media: str | None
    """the folder with the media; null if the vault keeps none"""
    fingerprint: str
    """the key that has signed the snapshots"""
    snapshots: int
    """how many snapshots were received"""
    objects: int
    """how many objects were read and compared"""
    media_files: int | None
    """how many media files were received; null if the vault keeps none"""
    media_as_of: str | None
    """the snapshot as of whose arrival the media are; null if there are none"""
    bytes: int
    """the size of everything"""
    findings: tuple[FindingDocument, ...]
    """what is missing or wrong; kinds as those of `permafrost verify`"""


@dataclass(frozen=True, slots=True)
class VaultSendBackDocument(Document):
    """What the vault sent."""

    server: str
    """the old server's name"""
    device_id: str
    """the device ID of the new server's Syncthing"""
    snapshots: int
    """how many snapshots were sent"""
    media_files: int | None
    """how many media files were sent; null if the vault keeps none"""
    media_as_of: str | None
    """the snapshot as of whose arrival the media are; null if there are none"""
    bytes: int
    """the size of everything"""
    duration_s: float
    """how long the transfer took, from when the new server had let the vault in"""


@dataclass(frozen=True, slots=True)
class VaultSendBackStopDocument(Document):
    """With `--stop`: what is no longer sent."""

    stopped: str
    """the server's name"""
