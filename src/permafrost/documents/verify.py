"""The document of verify."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.documents.document import Document
from permafrost.documents.finding import FindingDocument


@dataclass(frozen=True, slots=True)
class VerifyDocument(Document):
    """What was read of a repository, and what is wrong with it. Exit code 3 or 14 if there are findings.

    Kinds of findings: `corrupt-object`, `corrupt-snapshot`, `bad-signature`, `overdue`.
    """

    repository: str
    """the folder"""
    fingerprint: str
    """the key that signatures were checked with"""
    fingerprint_was_given: bool
    """false if the folder's own key had to be trusted"""
    snapshots: int
    """how many there are"""
    in_flight: int
    """how many of them are still arriving"""
    objects: int
    """how many objects were read"""
    bytes: int
    """their size"""
    unreferenced: int
    """how many objects no snapshot needs; `prune` removes them"""
    duration_s: float
    """how long it took"""
    findings: tuple[FindingDocument, ...]
    """what is wrong"""
