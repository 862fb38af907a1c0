"""The places where snapshots are kept, side by side: to when each could bring the server back, and for how long it
has room.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from permafrost.documents.status import PlaceDocument, PlaceMediaDocument
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import newest
from permafrost.vault.receipt import MediaReceipt
from permafrost.vault.report import VaultReport


def server_place(
    name: str,
    repository: Path,
    snapshots: Sequence[SnapshotId],
    proven: frozenset[str],
    growth: float | None,
    now: datetime,
) -> PlaceDocument:
    """Return this server as a place. `growth` is in bytes per day, None if it was not measured."""
    free, disk = _disk(repository)
    return PlaceDocument(
        name=name,
        kind="server",
        restorable_to=_made_at(newest(snapshots, now)),
        keeps_back_to=min((snapshot.made_at for snapshot in snapshots), default=None),
        snapshots=len(snapshots),
        proven_to=_made_at(max((snapshot for snapshot in snapshots if str(snapshot) in proven), default=None)),
        all_read_since=None,
        media_files=None,
        media=None,
        size_bytes=None,
        free_bytes=free,
        disk_bytes=disk,
        growth_bytes_per_day=growth,
        room_days=room_days(free, growth),
        heard_at=now,
    )


def vault_places(
    reports: Iterable[VaultReport], proven: frozenset[str], growth: Mapping[str, float]
) -> tuple[PlaceDocument, ...]:
    """Return the vaults as places. A snapshot that a vault has checked is the one that a restore has proven here."""
    return tuple(_vault_place(report, proven, growth.get(report.name)) for report in reports)


def _vault_place(report: VaultReport, proven: frozenset[str], growth: float | None) -> PlaceDocument:
    receipt = report.receipt
    held = [SnapshotId(snapshot.snapshot) for snapshot in receipt.snapshots] if receipt else []
    return PlaceDocument(
        name=report.name,
        kind="vault",
        restorable_to=_made_at(report.newest),
        keeps_back_to=min((snapshot.made_at for snapshot in held), default=None),
        snapshots=receipt.history_snapshots if receipt else 0,
        proven_to=_made_at(max((snapshot for snapshot in held if str(snapshot) in proven), default=None)),
        all_read_since=receipt.all_verified_since if receipt else None,
        media_files=receipt.media_files if receipt else None,
        media=media_document(receipt.media) if receipt else None,
        size_bytes=receipt.history_bytes if receipt else None,
        free_bytes=receipt.free_bytes if receipt else None,
        disk_bytes=receipt.disk_bytes if receipt else None,
        growth_bytes_per_day=growth,
        room_days=room_days(receipt.free_bytes, growth) if receipt else None,
        heard_at=receipt.written_at if receipt else None,
    )


def media_document(media: MediaReceipt | None) -> PlaceMediaDocument | None:
    """Return what a receipt says of media against the server's list."""
    if media is None:
        return None
    return PlaceMediaDocument(
        snapshot=media.snapshot,
        needed=media.needed,
        needed_bytes=media.needed_bytes,
        held=media.held,
        held_bytes=media.held_bytes,
        missing=media.missing,
        different=media.different,
        rotten=media.rotten,
        all_read_since=media.all_read_since,
        sealed=media.sealed,
    )


def room_days(free_bytes: int | None, growth: float | None) -> float | None:
    """Return for how many days the free bytes last, None if that is not known or nothing grows."""
    return free_bytes / growth if free_bytes is not None and growth is not None and growth > 0 else None


def _made_at(snapshot: SnapshotId | None) -> datetime | None:
    return snapshot.made_at if snapshot is not None else None


def _disk(folder: Path) -> tuple[int | None, int | None]:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None, None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
