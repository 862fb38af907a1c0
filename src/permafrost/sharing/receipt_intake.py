"""Receives the vaults' receipts on the server: each new one is checked, and becomes a report.

Of each vault two things are remembered beside its folder, where it cannot write: the key of its first receipt, and when
the newest receipt that was seen was written. A receipt that is older than that was played back, or its vault's clock
was set back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from permafrost.errors import IntegrityError, PermafrostError
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.signing import Verifier, fingerprint_of_key
from permafrost.repository.durable import write_durably
from permafrost.repository.layout import SnapshotId
from permafrost.small_files import NotAFileError, read_small
from permafrost.state_files import set_aside
from permafrost.vault.receipt import MAXIMUM_BYTES, Receipt, parse_signed
from permafrost.vault.receipt_files import NEWEST_FILE, PIN_FILE, RECEIPT_FILE
from permafrost.vault.report import VaultReport

_MOST_BYTES = 4096


def take_in_receipts(
    receipts: Path, repository_id: str, known: Iterable[VaultReport], now: datetime
) -> tuple[VaultReport, ...]:
    """Return what each vault that has a folder below `receipts` says, by name.

    A receipt that is the same file as in the report that is `known` is not checked again.
    """
    if not receipts.is_dir():
        return ()
    folders = sorted(folder for folder in receipts.iterdir() if folder.is_dir() and not folder.is_symlink())
    before = {report.name: report for report in known}
    return tuple(take_in_receipt(folder, repository_id, before.get(folder.name), now) for folder in folders)


def take_in_receipt(folder: Path, repository_id: str, known: VaultReport | None, now: datetime) -> VaultReport:
    """Return what the vault says whose receipts arrive in `folder`, which has the vault's name."""
    paired_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    digest = ""
    try:
        content = _bytes_of(folder / RECEIPT_FILE)
        if content is None:
            return VaultReport(name=folder.name, paired_at=paired_at)
        digest = hashlib.sha256(content).hexdigest()
        if known is not None and known.digest == digest and known.paired_at == paired_at:
            return known
        receipt, fingerprint = _checked(content, repository_id)
        _pin(folder, fingerprint)
        seen_before = _remember(folder, receipt.written_at, now)
    except PermafrostError as error:
        return VaultReport(name=folder.name, paired_at=paired_at, problem=error.message, digest=digest)
    except OSError as error:
        return VaultReport(name=folder.name, paired_at=paired_at, problem=f"it cannot be read: {error}", digest=digest)
    return VaultReport(name=folder.name, paired_at=paired_at, receipt=receipt, seen_before=seen_before, digest=digest)


def _checked(content: bytes, repository_id: str) -> tuple[Receipt, str]:
    """Return the receipt in the file, and the fingerprint of the key that signed it; raise `IntegrityError`."""
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
    for held in receipt.snapshots:
        SnapshotId(held.snapshot)
    return receipt, fingerprint


def _bytes_of(file: Path) -> bytes | None:
    """Return what the file holds, None if it does not exist; the vault chose what is there, so it is not trusted."""
    try:
        return read_small(file, MAXIMUM_BYTES)
    except FileNotFoundError:
        return None
    except NotAFileError as error:
        raise IntegrityError(
            f"its receipt is not a regular file of at most {MAXIMUM_BYTES} bytes: {error.strerror}"
        ) from error


def _pin(folder: Path, fingerprint: str) -> None:
    """Remember the key of the first receipt; raise `IntegrityError` for another one afterwards."""
    file = folder.with_name(f"{folder.name}.{PIN_FILE}")
    try:
        known = read_small(file, _MOST_BYTES).decode("ascii", "replace").strip()
    except FileNotFoundError:
        write_durably(file, f"{fingerprint}\n".encode("ascii"), 0o600)
        return
    if known != fingerprint:
        raise IntegrityError(
            f"it is signed with another key ({fingerprint}) than the vault's first one ({known}): the vault was set up "
            "again, or somebody else writes in its place. If it was you: permafrost vault remove, and pair it again"
        )


def _remember(folder: Path, written_at: datetime, now: datetime) -> datetime | None:
    """Remember when the newest receipt was written; return that moment if this one is older.

    What was written in the future is remembered as written now: a clock that was ahead and is put right is no replay.
    """
    file = folder.with_name(f"{folder.name}.{NEWEST_FILE}")
    try:
        newest = _moment(read_small(file, _MOST_BYTES).decode("ascii", "replace"))
    except FileNotFoundError:
        newest = None
    except NotAFileError:
        set_aside(file)
        newest = None
    if newest is not None and written_at < newest:
        return newest
    remembered = min(written_at, now)
    if newest is None or remembered > newest:
        write_durably(file, f"{remembered.isoformat()}\n".encode("ascii"), 0o600)
    return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
