"""What in the vaults' receipts needs attention: rules over what is known, and the clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from permafrost.findings import Finding, FindingKind, vault_kind
from permafrost.repository.layout import Layout, SnapshotId
from permafrost.repository.object_list import MAXIMUM_BYTES
from permafrost.repository.snapshots import OBJECT_LIST
from permafrost.runs import RunRecords
from permafrost.small_files import read_small
from permafrost.vault.receipt import Receipt
from permafrost.vault.report import VaultReport

_SILENT = timedelta(hours=3)
"""A vault that runs writes a receipt every hour, and whenever something has changed."""
_FIRST = timedelta(hours=1)
_BEHIND = timedelta(hours=2)
_CLOCK = timedelta(minutes=10)
_FULL_SHARE = 0.05
_VERIFY = timedelta(days=10)
_SHOWN = timedelta(days=7)


def receipt_findings(
    reports: tuple[VaultReport, ...],
    layout: Layout,
    snapshots: tuple[SnapshotId, ...],
    records: RunRecords,
    now: datetime,
) -> Iterator[Finding]:
    """Yield what needs attention: vaults that are silent, behind, full or in disagreement, and what they have found.

    `snapshots` are those that are here, in order; `records` tell which ones a prune has removed.
    """
    here = _Here(layout, snapshots, records.removed_by_prune(), records.began() or now)
    for report in reports:
        if report.receipt is None:
            if report.problem:
                message = f"the receipt of the vault {report.name} is not believed: {report.problem}"
                yield Finding(FindingKind.VAULT_RECEIPT, report.name, message)
            elif now - report.paired_at > _FIRST:
                message = (
                    f"the vault {report.name} has sent no receipt: is permafrost vault run running there? A vault that "
                    "was paired by a permafrost without receipts must be removed and invited again, and joins with the "
                    "new line; what it holds stays"
                )
                yield Finding(FindingKind.VAULT_SILENT, report.name, message)
            continue
        if report.seen_before is not None:
            message = (
                f"the vault {report.name} sends a receipt of {report.receipt.written_at:%Y-%m-%d %H:%M} UTC, and one "
                f"of {report.seen_before:%Y-%m-%d %H:%M} was received before: its clock was set back, it was restored "
                "from an image, or somebody is replaying old receipts"
            )
            yield Finding(FindingKind.VAULT_REPLAYED, report.name, message)
        yield from _of_receipt(report, report.receipt, here, now)


@dataclass(frozen=True, slots=True)
class _Here:
    """What this server has, and what its records say of what it no longer has, as far back as they go."""

    layout: Layout
    snapshots: tuple[SnapshotId, ...]
    pruned: frozenset[str]
    recorded_since: datetime
    _hashes: dict[str, str | None] = field(default_factory=dict)

    def list_hash(self, snapshot: str) -> str | None:
        """Return the SHA-256 of a snapshot's list, None if it cannot be read; read once, however many vaults ask."""
        if snapshot not in self._hashes:
            self._hashes[snapshot] = None
            with suppress(OSError):
                content = read_small(self.layout.snapshot(SnapshotId(snapshot)) / OBJECT_LIST, MAXIMUM_BYTES)
                self._hashes[snapshot] = hashlib.sha256(content).hexdigest()
        return self._hashes[snapshot]


def _of_receipt(report: VaultReport, receipt: Receipt, here: _Here, now: datetime) -> Iterator[Finding]:
    name = report.name
    age = now - receipt.written_at
    if age > _SILENT:
        yield Finding(FindingKind.VAULT_SILENT, name, f"the vault {name} was last heard of {_hours(age)} ago")
    if age < -_CLOCK:
        yield Finding(
            FindingKind.VAULT_CLOCK, name, f"the clock of the vault {name} is {_hours(-age)} ahead of this one"
        )
    newest = report.newest  # looked for in the whole receipt
    later = [snapshot for snapshot in here.snapshots if newest is None or snapshot > newest]
    overdue = [snapshot for snapshot in later if now - snapshot.made_at > _BEHIND]
    if overdue:
        message = f"the vault {name} lacks {len(overdue)} snapshots that are older than {_hours(_BEHIND)}"
        yield Finding(FindingKind.VAULT_BEHIND, name, message)
    if receipt.disk_bytes and receipt.free_bytes < receipt.disk_bytes * _FULL_SHARE:
        share = receipt.free_bytes / receipt.disk_bytes
        yield Finding(FindingKind.VAULT_FULL, name, f"the disk of the vault {name} has {share:.0%} left")
    if receipt.bad_objects:
        message = f"{receipt.bad_objects} objects of the vault {name} have rotted and could not be repaired yet"
        yield Finding(FindingKind.VAULT_CORRUPT, name, message)
    if receipt.all_verified_since is not None and receipt.written_at - receipt.all_verified_since > _VERIFY:
        message = f"the vault {name} has not read everything again for {_hours(now - receipt.all_verified_since)}"
        yield Finding(FindingKind.VAULT_UNVERIFIED, name, message)
    yield from _disagreements(name, receipt, here)
    for said in receipt.findings:
        if now - said.last_at < _SHOWN:
            yield Finding(vault_kind(said.kind), name, f"the vault {name} says: {said.message}", vault=name)


def _disagreements(name: str, receipt: Receipt, here: _Here) -> Iterator[Finding]:
    there = {str(snapshot) for snapshot in here.snapshots}
    unexplained = []
    for held in receipt.snapshots:
        if held.snapshot in there:
            if here.list_hash(held.snapshot) not in (None, held.list_hash):
                message = f"the vault {name} has a different snapshot {held.snapshot} than this server"
                yield Finding(FindingKind.VAULT_DISAGREES, name, message)
        elif held.snapshot not in here.pruned and SnapshotId(held.snapshot).made_at > here.recorded_since:
            unexplained.append(held.snapshot)
    if unexplained:
        message = (
            f"the vault {name} keeps {len(unexplained)} snapshots that are gone here although no prune removed them, "
            f"such as {unexplained[-1]}: were they deleted by hand, or by somebody else?"
        )
        yield Finding(FindingKind.VAULT_UNEXPLAINED, name, message)


def _hours(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours >= 2 else f"{span.total_seconds() / 60:.0f} minutes"
