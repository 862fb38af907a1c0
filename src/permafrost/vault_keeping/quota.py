"""How much of the disk a server's history may take, and how many snapshots an hour may add.

Everything that a server can make grow counts: objects, the snapshots' own files, media and their older versions,
folders, entries, and the records themselves. What is counted is what it costs the disk (vault/cost.py).
"""

from __future__ import annotations

from pathlib import Path

from permafrost.findings import FindingKind
from permafrost.repository.layout import SnapshotId
from permafrost.vault.arrivals import KEPT, Records
from permafrost.vault.cost import snapshot_cost
from permafrost.vault.history_folder import HistoryFolder, free_bytes
from permafrost.vault.media.history import MediaHistory
from permafrost.vault.settings import Vault
from permafrost.vault_keeping.candidates import Candidate
from permafrost.vault_keeping.intake import Intake


def share_bytes(vault: Vault) -> int:
    """Return how much of the disk each server's history may take."""
    _, disk = free_bytes(vault.root)
    return disk * vault.settings.history.share_percent // 100 // len(vault.settings.servers)


def room_on_disk(vault: Vault) -> int:
    """Return how much may still be written to the disk: servers leave a reserve free, and half of it is left free here.

    So a server that fills the disk up to the reserve keeps no other's snapshots from being taken: that takes links.
    """
    free, disk = free_bytes(vault.root)
    return free - disk * vault.settings.history.reserve_percent // 200


class Usage:
    """What one server's history costs the disk."""

    def __init__(
        self, history: HistoryFolder, records: Records, records_file: Path, media: MediaHistory | None
    ) -> None:
        self._history = history
        self._records = records
        self._files = [records_file, records_file.with_name(f"{records_file.name}-wal")]
        self._media = media
        self._snapshots: dict[str, int] = {}

    def total_bytes(self) -> int:
        """Return what all of it costs now."""
        media = self._media.cost_bytes() if self._media is not None else 0
        records = sum(file.stat().st_size for file in self._files if file.exists())
        return self._records.objects_cost() + self._of_snapshots() + media + records

    def _of_snapshots(self) -> int:
        kept = {arrival.snapshot for arrival in self._records.arrivals(KEPT)}
        self._snapshots = {name: self._snapshots.get(name) or self._of_snapshot(name) for name in kept}
        return sum(self._snapshots.values())

    def _of_snapshot(self, name: str) -> int:
        folder = self._history.layout.snapshot(SnapshotId(name))
        return snapshot_cost(sum(file.lstat().st_size for file in folder.iterdir())) if folder.is_dir() else 0


def refusal(
    vault: Vault, usage: Usage, intake: Intake, candidate: Candidate, room: int
) -> tuple[FindingKind, str, str] | None:
    """Return why the candidate is not taken now, as a finding; None if it may be. `room`: how many more may come."""
    if room <= 0:
        return (
            FindingKind.TOO_MANY_SNAPSHOTS,
            "history",
            f"more than {vault.settings.history.admitted_per_hour} snapshots arrived within an hour; the others wait",
        )
    share, needed = share_bytes(vault), intake.cost_bytes(candidate)
    if usage.total_bytes() + needed > share:
        message = (
            f"snapshot {candidate.arrival.snapshot} is not taken: the history has reached its share of the disk "
            f"({share / 1e9:.1f} GB); nothing already kept is removed"
        )
        return FindingKind.HISTORY_FULL, "history", message
    if candidate.own_bytes > room_on_disk(vault):
        message = f"snapshot {candidate.arrival.snapshot} is not taken: the disk has no room; nothing kept is removed"
        return FindingKind.DISK_FULL, "disk", message
    return None
