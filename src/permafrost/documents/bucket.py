"""The documents of the commands about buckets."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class BucketUploadDocument(Document):
    """What was put into a bucket, renewed and removed there."""

    bucket: str
    """its name in `[[buckets]]`"""
    address: str
    """where the repository is, for `--repository`"""
    snapshots: tuple[str, ...]
    """ids of the snapshots that this run made complete there, the newest first"""
    files: int
    """how many files were uploaded"""
    bytes: int
    """their size"""
    renewed: int
    """how many locks were renewed"""
    removed: int
    """how many unneeded files were removed"""
    requests: int
    """how many requests that took"""
    has_lock: bool
    """whether what was uploaded is locked"""
    duration_s: float
    """how long it took"""
