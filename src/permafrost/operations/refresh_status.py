"""Gathers what only a running program can find out, for `permafrost status`: receipts, and the ledger of findings.

The service does it all the time, and each backup at its end, so that a server whose backups cron starts has it too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError
from permafrost.events import Reporter, Warned
from permafrost.ledger import settle_in
from permafrost.repository.durable import write_durably
from permafrost.repository.repository import Repository
from permafrost.runs import RunRecords
from permafrost.sharing.receipt_intake import take_in_receipts
from permafrost.state_files import is_no_file, set_aside
from permafrost.status.document import Status, status
from permafrost.status.written import STATUS_FILE, WrittenStatus, read_written
from permafrost.vault.receipt_files import RECEIPT_FILE, RECEIPTS
from permafrost.vault.report import VaultReport

EVERY_S = 60.0
WRITTEN_AT_LEAST = timedelta(minutes=10)


def refresh_status(configuration: Configuration, report: Reporter, now: datetime) -> Status | str:
    """Check the receipts that have come, settle the ledger, and return the status, or why it cannot be had.

    What goes wrong is reported, and fails nothing: the snapshots are what counts.
    """
    state = configuration.state.path
    try:
        repository = Repository.open(configuration.repository.path)
        written = read_written(state)
        known = written.vaults if written is not None else ()
        vaults = take_in_receipts(state / RECEIPTS, repository.repository_id, known, now)
        is_old = written is None or not timedelta(0) <= now - written.written_at < WRITTEN_AT_LEAST
        if is_old or vaults != known:
            if is_no_file(state / STATUS_FILE):
                set_aside(state / STATUS_FILE)
            write_durably(state / STATUS_FILE, WrittenStatus(written_at=now, vaults=vaults).encode(), 0o640)
        _measure_places(state, vaults, now)
        found = status(configuration, now)
        damage = settle_in(state, found.findings, now)
        if damage is not None:
            report(Warned(damage))
    except PermafrostError as error:
        problem = error.message
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    else:
        return found
    report(Warned(f"the status was not refreshed: {problem}"))
    return problem


def _measure_places(state: Path, vaults: tuple[VaultReport, ...], now: datetime) -> None:
    """Record how much each vault keeps, a few times a day: from that, it can be seen for how long its room lasts."""
    records = RunRecords(state)
    for vault in vaults:
        if vault.receipt is not None:
            media = vault.receipt.media
            held_bytes = media.held_bytes if media is not None else None
            records.record_place(vault.name, vault.receipt.history_bytes, held_bytes, now)


@dataclass(slots=True)
class StatusRefresher:
    """Refreshes the status when a receipt has come, and once a minute; call `turn` as often as you like."""

    configuration: Configuration
    report: Reporter
    hand_on: Callable[[Status | str, datetime], None]
    """Takes each status, or why it could not be had."""
    _next: float = float("-inf")
    _receipts: frozenset[tuple[str, int, int]] = frozenset()

    def turn(self, now: datetime) -> None:
        """Refresh the status if something has come or it is time."""
        receipts = _versions(self.configuration.state.path / RECEIPTS)
        if receipts == self._receipts and time.monotonic() < self._next:
            return
        self._receipts, self._next = receipts, time.monotonic() + EVERY_S
        self.hand_on(refresh_status(self.configuration, self.report, now), now)


def _versions(receipts: Path) -> frozenset[tuple[str, int, int]]:
    """Return what changes whenever a receipt comes or a vault is paired: names, inodes and times of files."""
    found = set()
    with suppress(OSError):
        for folder in receipts.iterdir():
            with suppress(OSError):
                status = (folder / RECEIPT_FILE).lstat()
                found.add((folder.name, status.st_ino, status.st_mtime_ns))
    return frozenset(found)
