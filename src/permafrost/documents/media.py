"""The document of media compare, and its part of status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class MediaCompareDocument(Document):
    """What the server's own media hold against what its database needs. Exit code 3 if files are missing."""

    is_store: bool
    """whether that is an object store, and not a folder"""
    files: int
    """how many files were listed that look like Mastodon's, remote ones in `cache/` left out"""
    bytes: int
    """their size"""
    needed: int
    """how many files the rows of the database need"""
    missing: int
    """how many of them are not there"""
    first_missing: tuple[str, ...]
    """the paths of some of them"""
    orphans: int
    """how many files belong to no row; those of the last 24 hours are not counted"""
    orphan_bytes: int
    """their size"""
    strays: int
    """how many files lie among them and do not look like Mastodon's"""
    stray_bytes: int
    """their size"""
    requests: int
    """how many requests to the object store that took; 0 for a folder"""
    duration_s: float
    """how long it took"""


@dataclass(frozen=True, slots=True)
class MediaStatusDocument(Document):
    """How the server's own media compare with its database, by the last `permafrost media compare`."""

    compared_at: datetime | None
    """when the last comparison ended that came to a result; null if none did"""
    comparison: MediaCompareDocument | None
    """its result; null likewise"""
    error: str | None
    """why the last comparison failed; null if it did not"""
