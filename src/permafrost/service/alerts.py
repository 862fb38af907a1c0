"""What a service tells the receivers in [[notify]]: what it saw, and how its jobs began and ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from permafrost.config.alerting import HookedJob
from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError
from permafrost.events import Reporter
from permafrost.notify.alert import Ping, new_run_id
from permafrost.notify.looks import look_at_nothing, look_at_server, look_at_vault
from permafrost.notify.notifier import Notifier
from permafrost.schedule import local_zone
from permafrost.service.job import Ended
from permafrost.status.document import Status
from permafrost.status.vault_document import STATE, vault_status
from permafrost.vault.receipt_files import RECEIPT_FILE, RECEIPTS
from permafrost.vault.settings import Vault

LOOK_EVERY_S = 60.0


@dataclass(slots=True)
class ServerAlerts:
    """A server's receivers. Nothing here waits for them, or fails with them."""

    notifier: Notifier
    _run_id: str = ""

    def saw(self, found: Status | str, now: datetime) -> None:
        """Tell what the status shows, or why it could not be had."""
        look = look_at_nothing(found, now, local_zone()) if isinstance(found, str) else look_at_server(found)
        self.notifier.saw(look)

    def job_began(self, job: HookedJob) -> None:
        """Tell that a job has begun."""
        self._run_id = new_run_id()
        self.notifier.ping(Ping(job, "start", self._run_id))

    def job_ended(self, job: HookedJob, ended: Ended, duration_s: float, text: str) -> None:
        """Tell how a job ended. One that found the repository locked has not run: it is neither done nor failed."""
        if not ended.is_locked_out:
            self.notifier.ping(Ping(job, "end", self._run_id, exit_code_of(ended), duration_s, text))


def exit_code_of(ended: Ended) -> int:
    """Return 0 if the job was done, otherwise its exit code, as a shell has it: 128 and the signal's number."""
    if ended.is_done:
        return 0
    return 128 - ended.exit_code if ended.exit_code < 0 else ended.exit_code


@contextmanager
def server_alerts(configuration: Configuration, report: Reporter) -> Iterator[ServerAlerts]:
    """Yield what tells a server's receivers; end their threads afterwards."""
    notifier = Notifier(configuration.notify, configuration.server.name, configuration.state.path, report)
    try:
        yield ServerAlerts(notifier)
    finally:
        notifier.close()


@dataclass(slots=True)
class VaultAlerts:
    """A vault's receivers. It looks whenever a receipt was written, and once a minute."""

    vault: Vault
    notifier: Notifier
    _next: float = float("-inf")
    _receipts: tuple[tuple[int, int], ...] = field(default=())

    def turn(self, now: datetime) -> None:
        """Look if it is time; call it as often as you like."""
        if not self.vault.settings.notify:
            return
        receipts = self._versions()
        if receipts == self._receipts and time.monotonic() < self._next:
            return
        self._receipts, self._next = receipts, time.monotonic() + LOOK_EVERY_S
        try:
            look = look_at_vault(vault_status(self.vault.root, now))
        except PermafrostError as error:
            look = look_at_nothing(error.message, now, local_zone())
        except OSError as error:
            look = look_at_nothing(f"{error.filename}: {error.strerror}", now, local_zone())
        self.notifier.saw(look)

    def _versions(self) -> tuple[tuple[int, int], ...]:
        """Return what changes whenever a receipt is written."""
        found = []
        for server in self.vault.settings.servers:
            with suppress(OSError):
                status = (self.vault.root / server.name / RECEIPTS / RECEIPT_FILE).stat()
                found.append((status.st_ino, status.st_mtime_ns))
        return tuple(found)


@contextmanager
def vault_alerts(vault: Vault, report: Reporter) -> Iterator[VaultAlerts]:
    """Yield what tells a vault's receivers; end their threads afterwards."""
    where = f"vault {vault.settings.name}"
    notifier = Notifier(vault.settings.notify, where, vault.root / STATE, report, on_a_vault=True)
    try:
        yield VaultAlerts(vault, notifier)
    finally:
        notifier.close()
