"""Findings, as several documents have them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from permafrost.documents.document import Document

SeverityWord = Literal["notice", "warning", "alarm"]


@dataclass(frozen=True, slots=True)
class FindingDocument(Document):
    """Something that needs attention."""

    kind: str
    """a stable name, see [findings.md](findings.md)"""
    subject: str
    """what it is about: for instance an object, a snapshot, a vault"""
    message: str
    """what was found, for people"""
    severity: SeverityWord
    """`notice`, `warning` or `alarm`"""
    remedy: str
    """what to do"""


@dataclass(frozen=True, slots=True)
class VaultFindingDocument(Document):
    """Something that a vault has noticed. Times are the vault's own."""

    kind: str
    """a stable name, see [findings.md](findings.md)"""
    subject: str
    """what it is about"""
    message: str
    """what was found, for people"""
    severity: SeverityWord
    """`notice`, `warning` or `alarm`"""
    first_at: datetime
    """when it was first noticed"""
    last_at: datetime
    """when it was last noticed"""
    ended_at: datetime | None
    """when it ended; null while it lasts"""
    times: int
    """how often"""
