"""The document of status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.document import Document
from permafrost.documents.finding import SeverityWord


@dataclass(frozen=True, slots=True)
class VaultStatusDocument(Document):
    """What a paired vault says in its receipt."""

    name: str
    """the vault's name"""
    newest: str | None
    """the newest snapshot that it has checked and keeps in its history; null if there is none"""
    newest_age_s: float | None
    """that snapshot's age"""
    receipt_age_s: float | None
    """how long ago the receipt was written, by the vault's clock; null if there is none yet"""
    history_snapshots: int | None
    """how many snapshots its history keeps"""
    all_verified_since: str | None
    """every object was read again since then; null if it keeps none"""
    free_bytes: int | None
    """what is free on its disk"""
    media_files: int | None
    """how many media files it keeps"""
    problem: str | None
    """why its receipt is not believed; null if it is"""


@dataclass(frozen=True, slots=True)
class StatusFindingDocument(Document):
    """Something that needs attention, and since when."""

    kind: str
    """a stable name, see [findings.md](findings.md); with `vault-` in front if a vault has reported it of itself"""
    subject: str
    """what it is about: for instance an object, a snapshot, a vault"""
    message: str
    """what was found, for people"""
    severity: SeverityWord
    """`notice`, `warning` or `alarm`"""
    remedy: str
    """what to do"""
    first_seen: datetime | None
    """when the service, or a backup, saw it first; null if neither has"""
    last_seen: datetime | None
    """when one of them saw it last; null likewise"""


@dataclass(frozen=True, slots=True)
class StatusDocument(Document):
    """What there is, how old it is, and what needs attention. Exit code 3 if there are findings."""

    snapshots: int
    """how many there are"""
    newest: str | None
    """the newest one's id; null if there is none"""
    newest_age_s: float | None
    """its age; null if there is none"""
    newest_proven: str | None
    """the newest one that a drill has proven and that still exists; null if there is none"""
    vaults: tuple[VaultStatusDocument, ...]
    """the paired vaults, by what they say in their receipts"""
    findings: tuple[StatusFindingDocument, ...]
    """what needs attention, the most severe first"""
