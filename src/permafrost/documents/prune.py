"""The document of prune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class PruneDocument(Document):
    """What was removed from the repository."""

    kept: tuple[str, ...]
    """ids of the snapshots that stay"""
    removed: tuple[str, ...]
    """ids of those that were removed, or with `--dry-run` would be"""
    objects_removed: int
    """how many objects were removed"""
    bytes_freed: int
    """their size"""
    kept_by: Mapping[str, tuple[str, ...]]
    """for each snapshot that stays, the rules of [retention] that keep it; none for one whose time is in the future"""
    dry_run: bool
    """whether nothing was removed"""
