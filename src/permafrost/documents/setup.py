"""The documents of init and config check."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class InitDocument(Document):
    """The recovery sheet's text is not in it: it holds the passphrase, and JSON ends up in logs."""

    config: str
    """the configuration file"""
    repository: str
    """the repository's folder"""
    repository_id: str
    """its id"""
    fingerprint: str
    """the signing key's fingerprint"""
    recovery_sheet: str
    """the recovery sheet's file"""
    made: tuple[str, ...]
    """the paths that were made"""


@dataclass(frozen=True, slots=True)
class RekeyDocument(Document):
    """The recovery sheet's text is not in it, as in that of init."""

    snapshot: str
    """the first snapshot that is sealed with the new key"""
    recovery_sheet: str
    """the new recovery sheet's file"""
    former_passphrase_file: str | None
    """the file that keeps the old passphrase; null if there is none"""


@dataclass(frozen=True, slots=True)
class SheetProveDocument(Document):
    """Printed only if the recovery sheet opens the newest snapshot."""

    snapshot: str
    """the snapshot"""
    shown_at: datetime
    """when it was shown"""


@dataclass(frozen=True, slots=True)
class ProblemDocument(Document):
    """One thing to put right."""

    file: str
    """the file"""
    line: int | None
    """the line; null if it is not known"""
    key: str
    """the key; empty if it is about none"""
    message: str
    """what is wrong"""


@dataclass(frozen=True, slots=True)
class ConfigCheckDocument(Document):
    """The problems of the configuration file and of the files that it names. Exit code 10 if there are any."""

    config: str
    """the configuration file"""
    problems: tuple[ProblemDocument, ...]
    """what is wrong; empty if nothing is"""
