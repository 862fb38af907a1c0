"""Keeps the history of one server: takes in arrivals, drops what retention no longer keeps, audits, and reports."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from permafrost.errors import LockedError, PermafrostError, SpaceError
from permafrost.events import Note, Reporter
from permafrost.findings import FindingKind
from permafrost.repository.layout import SnapshotId
from permafrost.syncthing.client import Client
from permafrost.vault.arrivals import WAITING, Records
from permafrost.vault.clock import Moment, OwnTime
from permafrost.vault.history_folder import free_bytes
from permafrost.vault.media_history import MediaHistory
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault.statement import Statement, statement_of
from permafrost.vault_keeping.intake import Intake
from permafrost.vault_keeping.noting import Noting
from permafrost.vault_keeping.opened_history import OpenedHistory, open_history
from permafrost.vault_keeping.quota import refusal, share_bytes
from permafrost.vault_keeping.retention import drop_old

TURN_S = 5.0
"""How long a turn works for one server, at most, give or take the hashing of one object."""
AFTER_FAILURE_S = 30.0
LOOK_S = 2.0
"""How often it looks for what has come: a folder's names, which costs nothing."""
TAMPERING_S = 60.0
MEDIA_S = 3600.0
STATEMENT_S = 3600.0
Publish = Callable[[VaultServer, Statement], None]


class ServerKeeper:
    """Keeps the history of one server."""

    def __init__(
        self, vault: Vault, server: VaultServer, client: Client | None, report: Reporter, publish: Publish | None
    ) -> None:
        self._vault = vault
        self.server = server
        self._client = client
        self._report = report
        self._publish = publish
        self._noting = Noting(vault, server, report)
        self._stack = ExitStack()
        self._opened: OpenedHistory | None = None
        self._next_tampering = self._next_media = self._next_statement = 0.0

    def __enter__(self) -> Self:
        self._stack.callback(self._noting.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def records(self) -> Records:
        """What is known of the server."""
        return self._noting.records

    def turn(self, moment: Moment) -> float:
        """Do what there is to do; return after how many seconds to look again. What fails becomes a finding."""
        found = self._noting.found_if_possible
        try:
            now = self._tick(moment)
            wait_s = self._work(now, moment.wall)
            self._say(moment.wall)
        except SpaceError as error:
            found(FindingKind.DISK_FULL, "disk", f"{error.message}; nothing already kept is removed")
        except LockedError as error:
            found(FindingKind.CANNOT_LOCK, self.server.name, error.message)
        except PermafrostError as error:
            found(FindingKind.CANNOT_WORK, self.server.name, error.message)
        except OSError as error:
            found(FindingKind.CANNOT_READ, str(error.filename), f"{error.filename}: {error.strerror}")
        except sqlite3.DatabaseError as error:
            found(FindingKind.RECORDS, "records", f"the vault's records cannot be written: {error}")
        else:
            return wait_s
        return AFTER_FAILURE_S

    def _tick(self, moment: Moment) -> datetime:
        last = self.records.own_time()
        own = last.at(moment) if last is not None else OwnTime(moment.wall, moment)
        self._noting.now = own.now
        self.records.record_time(own)
        jump = last.jump_to(moment) if last is not None else timedelta(0)
        if jump:
            message = f"the clock of this vault jumped by {jump}; its history does not age by it"
            self._noting.found(FindingKind.CLOCK_JUMPED, "clock", message)
        self._noting.let_old_ones_end()
        return own.now

    def _work(self, now: datetime, wall: datetime) -> float:
        until = time.monotonic() + TURN_S
        if self._opened is None:
            self._opened = open_history(
                self._vault, self.server, self._client, self._noting, self._stack, self._report, wall
            )
        opened = self._opened
        if opened is None:
            return LOOK_S
        there = opened.intake.there()
        if there is not None:
            opened.intake.notice(there, now, wall)
            if not self._take(opened.intake, there, now, wall, until):
                return 0.0
            if time.monotonic() >= self._next_tampering:
                opened.tampering.look(there)
                opened.local_changes.look()
                self._next_tampering = time.monotonic() + TAMPERING_S
        self._drop(opened, now)
        opened.audit.mend(now)
        opened.audit.slice(now, self._vault.settings.history.audit_days, until)
        return LOOK_S if self._keep_media(opened.media, now, until) else 0.0

    def _take(self, intake: Intake, there: frozenset[SnapshotId], now: datetime, wall: datetime, until: float) -> bool:
        """Take what has come whole, and return whether nothing is left that could be taken at once."""
        room = intake.room(self._vault.settings.history, now)
        for candidate in intake.candidates(there, now, until, is_room=room > 0):
            reason = refusal(self._vault, self.records, intake, candidate, room)
            if reason is not None:
                self.records.set_state([candidate.arrival.snapshot], WAITING)
                self._noting.found(*reason)
                continue
            arrival = intake.take(candidate, now, wall, until)
            if arrival is not None:
                room -= 1
                self._noting.has_news = True
                self._report(Note(f"{self.server.name}: snapshot {arrival.snapshot} is complete and in the history"))
            elif time.monotonic() > until:
                return False
        return time.monotonic() <= until

    def _drop(self, opened: OpenedHistory, now: datetime) -> None:
        done = drop_old(opened.folder, self.records, self._vault.settings.history, now, self._noting.found)
        if done is not None:
            self._noting.has_news = True
            self._report(Note(f"{self.server.name}: {done}"))

    def _keep_media(self, media: MediaHistory | None, now: datetime, until: float) -> bool:
        """Resume the scan of the media if it is time, and return whether nothing is left to do at once."""
        if media is None or time.monotonic() < self._next_media:
            return True
        is_done = media.work(
            now,
            keep=timedelta(days=self._vault.settings.keep_removed_media_days),
            allowed_bytes=share_bytes(self._vault) - self.records.size()[1],
            until=until,
        )
        if is_done:
            self._next_media = time.monotonic() + MEDIA_S
        return is_done

    def _say(self, wall: datetime) -> None:
        """Publish what can be said of the server, if it has changed, or was not said for an hour."""
        if self._publish is None or not (self._noting.has_news or time.monotonic() >= self._next_statement):
            return
        self._publish(self.server, self.statement(wall))
        self._noting.has_news = False
        self._next_statement = time.monotonic() + STATEMENT_S

    def statement(self, wall: datetime) -> Statement:
        """Return what can be said of the server now, by the machine's clock."""
        media = self._opened.media if self._opened is not None else None
        counts = media.versions.totals()[:2] if media is not None else (0, 0)
        free, _ = free_bytes(self._vault.root)
        return statement_of(self.records, self.server.repository_id, wall, free, counts)
