"""The document of vault seal-media."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class SealMediaDocument(Document):
    """What the sealed media store has, and what the run sealed."""

    files: int
    """how many media files are sealed"""
    files_bytes: int
    """their size"""
    objects: int
    """how many sealed objects hold them, catalog included"""
    objects_bytes: int
    """the size of those"""
    sealed: int
    """how many contents the run sealed"""
    sealed_bytes: int
    """their size"""
    new_bytes: int
    """the size of the packs that the run made"""
    removed: int
    """how many files that were sealed are gone from the media"""
    not_sealed: int
    """how many paths among the media could not be sealed"""
    first_not_sealed: tuple[str, ...]
    """some of them, and why"""
    objects_removed: int
    """how many objects were removed that nothing needed any more"""
    duration_s: float
    """how long it took"""
