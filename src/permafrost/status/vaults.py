"""What the vaults say that they hold: their receipts, read on the server, and what in them needs a human.

Of each vault two things are remembered beside its folder, where it cannot write: the key of its first receipt, and when
the newest receipt that was seen was written. A receipt that is older than that was played back, or its vault's clock
was set back.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from permafrost.errors import IntegrityError, PermafrostError
from permafrost.findings import Finding
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.signing import Verifier, fingerprint_of_key
from permafrost.repository.durable import write_durably
from permafrost.repository.layout import Layout, SnapshotId
from permafrost.repository.snapshots import OBJECT_LIST
from permafrost.runs import RunRecords
from permafrost.vault.receipt import MAXIMUM_BYTES, NEWEST_FILE, PIN_FILE, RECEIPT_FILE, Receipt, parse_signed

_SILENT = timedelta(hours=3)
"""A vault that runs writes a receipt every hour, and whenever something has changed."""
_FIRST = timedelta(hours=1)
_BEHIND = timedelta(hours=2)
_CLOCK = timedelta(minutes=10)
_FULL_SHARE = 0.05
_VERIFY = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class VaultReport:
    """What is known of one paired vault: its receipt, or what is wrong with it."""

    name: str
    paired_at: datetime
    receipt: Receipt | None
    problem: str = ""
    """Why its receipt is not believed."""
    seen_before: datetime | None = None
    """When a receipt was written that was here before and is newer than this one; None if there was none."""

    @property
    def newest(self) -> SnapshotId | None:
        """The newest snapshot of its history."""
        newest = self.receipt.newest if self.receipt is not None else None
        return SnapshotId(newest.snapshot) if newest is not None else None


def read_receipts(receipts: Path, repository_id: str, now: datetime) -> tuple[VaultReport, ...]:
    """Return what each vault that has a folder below `receipts` says, by name."""
    if not receipts.is_dir():
        return ()
    folders = sorted(folder for folder in receipts.iterdir() if folder.is_dir() and not folder.is_symlink())
    return tuple(read_receipt(folder, repository_id, now) for folder in folders)


def read_receipt(folder: Path, repository_id: str, now: datetime) -> VaultReport:
    """Return what the vault says whose receipts arrive in `folder`, which is called as it is."""
    paired_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    try:
        content = _bytes_of(folder / RECEIPT_FILE)
        if content is None:
            return VaultReport(folder.name, paired_at, None)
        signed = parse_signed(content)
        with temporary_home() as home:
            fingerprint = fingerprint_of_key(home, signed.key.encode())
        with temporary_home() as home:
            verifier = Verifier(home, signed.key.encode(), fingerprint)
            if not verifier.is_valid(signed.content.encode(), signed.signature.encode()):
                raise IntegrityError("its signature is not good")
        receipt = signed.receipt()
        if receipt.repository_id != repository_id:
            raise IntegrityError("it is about another repository")
        for one in receipt.snapshots:
            SnapshotId(one.snapshot)
        _pin(folder, fingerprint)
        seen_before = _remember(folder, receipt.written_at, now)
    except PermafrostError as error:
        return VaultReport(folder.name, paired_at, None, problem=error.message)
    except OSError as error:
        return VaultReport(folder.name, paired_at, None, problem=f"it cannot be looked at: {error}")
    return VaultReport(folder.name, paired_at, receipt, seen_before=seen_before)


def _bytes_of(file: Path) -> bytes | None:
    """Return what the file holds, None if it is not there; the vault chose what is there, so it is not trusted."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IntegrityError(f"its receipt is no plain file: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IntegrityError("its receipt is no plain file")
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(MAXIMUM_BYTES + 1)


def _pin(folder: Path, fingerprint: str) -> None:
    """Remember the key of the first receipt; raise `IntegrityError` for another one afterwards."""
    file = folder.with_name(f"{folder.name}.{PIN_FILE}")
    try:
        known = file.read_text("ascii").strip()
    except FileNotFoundError:
        write_durably(file, f"{fingerprint}\n".encode("ascii"), 0o600)
        return
    if known != fingerprint:
        raise IntegrityError(
            f"it is signed with another key ({fingerprint}) than the vault's first one ({known}): the vault was set up "
            "anew, or somebody else writes in its place. If it was you: permafrost vault remove, and pair it again"
        )


def _remember(folder: Path, written_at: datetime, now: datetime) -> datetime | None:
    """Remember when the newest receipt was written; return that moment if this one is older.

    What was written in the future is remembered as written now: a clock that was ahead and is put right is no replay.
    """
    file = folder.with_name(f"{folder.name}.{NEWEST_FILE}")
    try:
        newest = datetime.fromisoformat(file.read_text("ascii").strip())
    except (FileNotFoundError, ValueError):
        newest = None
    if newest is not None and written_at < newest:
        return newest
    remembered = min(written_at, now)
    if newest is None or remembered > newest:
        write_durably(file, f"{remembered.isoformat()}\n".encode("ascii"), 0o600)
    return None


def receipt_findings(
    reports: tuple[VaultReport, ...],
    layout: Layout,
    snapshots: tuple[SnapshotId, ...],
    records: RunRecords,
    now: datetime,
) -> Iterator[Finding]:
    """Yield what needs a human: vaults that are silent, behind, full or in disagreement, and what they have found.

    `snapshots` are those that are here, in order; `records` tell which ones a prune has removed.
    """
    here = _Here(layout, snapshots, records.removed_by_prune(), records.began() or now)
    for report in reports:
        if report.receipt is None:
            if report.problem:
                message = f"the receipt of the vault {report.name} is not believed: {report.problem}"
                yield Finding("vault-receipt", report.name, message)
            elif now - report.paired_at > _FIRST:
                message = (
                    f"the vault {report.name} has sent no receipt: is permafrost vault run going there? One that was "
                    "paired by a permafrost without receipts has to be removed and invited again, and joins with the "
                    "new line; what it holds stays"
                )
                yield Finding("vault-silent", report.name, message)
            continue
        if report.seen_before is not None:
            message = (
                f"the vault {report.name} sends a receipt of {report.receipt.written_at:%Y-%m-%d %H:%M} UTC, and one "
                f"of {report.seen_before:%Y-%m-%d %H:%M} was here before: its clock was set back, it was put back from "
                "a copy, or somebody plays old receipts"
            )
            yield Finding("vault-replayed", report.name, message)
        yield from _of_receipt(report, report.receipt, here, now)


@dataclass(frozen=True, slots=True)
class _Here:
    """What this server has, and what its records say of what it no longer has, as far back as they go."""

    layout: Layout
    snapshots: tuple[SnapshotId, ...]
    pruned: frozenset[str]
    recorded_since: datetime


def _of_receipt(report: VaultReport, receipt: Receipt, here: _Here, now: datetime) -> Iterator[Finding]:
    name = report.name
    age = now - receipt.written_at
    if age > _SILENT:
        yield Finding("vault-silent", name, f"the vault {name} was last heard of {_hours(age)} ago")
    if age < -_CLOCK:
        yield Finding("vault-clock", name, f"the clock of the vault {name} is {_hours(-age)} ahead of this one")
    old = [one for one in here.snapshots if now - one.made_at > _BEHIND]
    overdue = [one for one in old if report.newest is None or one > report.newest]
    if overdue:
        message = f"the vault {name} lacks {len(overdue)} snapshots that are older than {_hours(_BEHIND)}"
        yield Finding("vault-behind", name, message)
    if receipt.disk_bytes and receipt.free_bytes < receipt.disk_bytes * _FULL_SHARE:
        share = receipt.free_bytes / receipt.disk_bytes
        yield Finding("vault-full", name, f"the disk of the vault {name} has {share:.0%} left")
    if receipt.bad_objects:
        message = f"{receipt.bad_objects} objects of the vault {name} have rotted, and could not be mended yet"
        yield Finding("vault-corrupt", name, message)
    if receipt.all_verified_since is not None and receipt.written_at - receipt.all_verified_since > _VERIFY:
        message = f"the vault {name} has not read everything again for {_hours(now - receipt.all_verified_since)}"
        yield Finding("vault-unverified", name, message)
    yield from _disagreements(name, receipt, here)
    for one in receipt.findings:
        if now - one.last_at < timedelta(days=7):
            yield Finding(f"vault-{one.kind}", name, f"the vault {name} says: {one.message}")


def _disagreements(name: str, receipt: Receipt, here: _Here) -> Iterator[Finding]:
    there = {str(snapshot) for snapshot in here.snapshots}
    unexplained = []
    for one in receipt.snapshots:
        if one.snapshot in there:
            try:
                content = (here.layout.snapshot(SnapshotId(one.snapshot)) / OBJECT_LIST).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest() != one.list_hash:
                message = f"the vault {name} has another snapshot {one.snapshot} than this server"
                yield Finding("vault-disagrees", name, message)
        elif one.snapshot not in here.pruned and SnapshotId(one.snapshot).made_at > here.recorded_since:
            unexplained.append(one.snapshot)
    if unexplained:
        message = (
            f"the vault {name} keeps {len(unexplained)} snapshots that are gone here, and that no prune has removed, "
            f"such as {unexplained[-1]}: were they deleted by hand, or by somebody else?"
        )
        yield Finding("vault-unexplained", name, message)


def _hours(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours >= 2 else f"{span.total_seconds() / 60:.0f} minutes"
