"""The document of backup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class BackupDocument(Document):
    """What a backup stored."""

    snapshot: str
    """the new snapshot's id"""
    engine: str
    """`dump` or `log`"""
    duration_s: float
    """how long it took"""
    bytes_new: int
    """bytes that are new in the repository"""
    snapshot_bytes: int
    """bytes of everything the snapshot needs"""
    files_new: int
    """files that are new in the repository"""
    rows_new: int
    """rows that are new since the last snapshot; with engine `dump`, all"""
    rows_gone: int
    """rows that are gone since the last snapshot; with engine `dump`, 0"""
    tables: int
    """how many tables were counted"""
    segments: int
    """how many segments there are; with engine `dump`, 0"""
    segments_changed: int
    """how many of them changed; with engine `dump`, 0"""
    work_s: Mapping[str, float]
    """seconds by kind of work, those of parallel workers added up: `connect`, `scan`, `compare`, `fetch` (rows from
    PostgreSQL), `frame` (facts of the database, pg_dump), `dump` (with engine `dump`), `compress`, `seal` (waiting for
    gpg and the disk), `publish`, `summarize` (waiting for the server's WAL summary)"""
    audited: bool
    """whether the manifest has a digest of every table"""
    scan: Literal["changed", "all"]
    """whether only blocks that had changed since the last snapshot were scanned, or all"""
    scan_reason: str
    """why all were scanned; empty if not, or with engine `dump`"""
    scanned_pages: int
    """how many pages of logged tables were scanned; with engine `dump`, 0"""
    total_pages: int
    """how many pages logged tables have; with engine `dump`, 0"""
    held_by: tuple[str, ...]
    """with `--wait`, the names of the vaults that hold the snapshot"""
