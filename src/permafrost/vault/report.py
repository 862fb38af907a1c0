"""What a server knows about one of its vaults: the receipt that it trusts, or why it trusts none."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime

from permafrost.documents.status import VaultStatusDocument
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

    def document(self, now: datetime) -> VaultStatusDocument:
        """Return it for JSON, with ages as of `now`."""
        receipt, newest = self.receipt, self.newest
        since = receipt.all_verified_since if receipt else None
        return VaultStatusDocument(
            name=self.name,
            newest=str(newest) if newest else None,
            newest_age_s=(now - newest.made_at).total_seconds() if newest else None,
            receipt_age_s=(now - receipt.written_at).total_seconds() if receipt else None,
            history_snapshots=receipt.history_snapshots if receipt else None,
            all_verified_since=since.isoformat() if since else None,
            free_bytes=receipt.free_bytes if receipt else None,
            media_files=receipt.media_files if receipt else None,
            problem=self.problem or None,
        )
