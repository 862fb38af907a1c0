"""What a server knows of one of its vaults: the receipt that it believes, or why it believes none."""

from __future__ import annotations

from pydantic import AwareDatetime

from permafrost.repository.layout import SnapshotId
from permafrost.vault.receipt import Receipt, ReceiptPart


class VaultReport(ReceiptPart):
    """What is known of one paired vault: its receipt, or what is wrong with it."""

    name: str
    paired_at: AwareDatetime
    receipt: Receipt | None = None
    problem: str = ""
    """Why its receipt is not believed."""
    seen_before: AwareDatetime | None = None
    """When a receipt was written that was here before and is newer than this one; None if there was none."""
    digest: str = ""
    """SHA-256 of the receipt's file as it was checked, empty if there was none: the same file is not checked again."""

    @property
    def newest(self) -> SnapshotId | None:
        """The newest snapshot of its history."""
        newest = self.receipt.newest if self.receipt is not None else None
        return SnapshotId(newest.snapshot) if newest is not None else None
