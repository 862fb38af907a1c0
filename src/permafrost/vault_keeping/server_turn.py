"""Keeps the history of one server: takes in arrivals, drops what retention no longer keeps, audits, and reports."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

from permafrost.errors import LockedError, PermafrostError, SpaceError
from permafrost.events import Note, Reporter
from permafrost.findings import FindingKind
from permafrost.syncthing.client import Client
from permafrost.vault.arrivals import WAITING, Records
from permafrost.vault.clock import Moment, OwnTime
from permafrost.vault.history_folder import free_bytes
from permafrost.vault.media.balance import report_balance
from permafrost.vault.media.history import MediaHistory
from permafrost.vault.media.needed import LIST_SNAPSHOT
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault.statement import Statement, statement_of
from permafrost.vault_keeping.noting import Noting
from permafrost.vault_keeping.opened_history import OpenedHistory, open_history
from permafrost.vault_keeping.pace import Pace
from permafrost.vault_keeping.quota import refusal, room_on_disk, share_bytes
from permafrost.vault_keeping.retention import drop_old

TAKE_S, COMPARE_S, RECEIVE_S, AUDIT_S, MEDIA_S, MEDIA_LIST_S, PULL_S = 2.0, 1.0, 0.5, 1.0, 1.0, 0.5, 1.0
"""How long each kind of work may take of a turn. One that takes long, or fails, takes nothing from the others."""
TURN_S = TAKE_S + COMPARE_S + RECEIVE_S + 2 * AUDIT_S + MEDIA_S + MEDIA_LIST_S + PULL_S
"""How long a turn may take: what the others leave of it goes to those that have more to do."""
AFTER_FAILURE_S = 30.0
LOOK_S = 2.0
"""How often it looks for what has come: a folder's names, which costs nothing."""
MEDIA_EVERY = timedelta(minutes=30)
STATEMENT_EVERY = timedelta(hours=1)
DROP_EVERY = timedelta(minutes=1)
"""How often it looks whether retention has let go of something though nothing has come."""
Work = Callable[[OpenedHistory, datetime, datetime, float], float | None]
"""Does a kind of work at a time of the vault's own and of the machine's clock until a monotonic time, and returns after
how many seconds to continue; 0 if there is more to do at once."""
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
        self._compared_list: str | None = None
        self._comparing: Iterator[None] | None = None
        self._media_pace, self._statement_pace = Pace(MEDIA_EVERY), Pace(STATEMENT_EVERY)
        self._drop_pace = Pace(DROP_EVERY)

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
        """Do what there is to do; return after how many seconds to look again.

        What fails becomes a finding, and the other kinds of work are done all the same. The statement comes last, and
        in any case.
        """
        ends = time.monotonic() + TURN_S
        waits = [AFTER_FAILURE_S]
        if self._attempt(lambda: self._tick(moment), waits) and self._attempt(self._open, waits):
            if self._opened is None:
                waits.append(LOOK_S)
            else:
                waits.append(self._work(self._opened, self._noting.now, moment.wall, ends))
        self._attempt(lambda: self._say(moment.wall), waits)
        return min(waits)

    def _work(self, opened: OpenedHistory, now: datetime, wall: datetime, ends: float) -> float:
        """Do each kind of work for its share, then what has more to do until the turn `ends` (monotonic)."""
        works: list[tuple[Work, float]] = [
            (self._take, TAKE_S),
            (self._compare, COMPARE_S),
            (self._receive, RECEIVE_S),
            (self._drop, 0.0),
            (self._audit, AUDIT_S),
            (self._take_media_list, MEDIA_LIST_S),
            (self._pull_media, PULL_S),
            (self._keep_media, MEDIA_S),
            (self._audit_media, AUDIT_S),
        ]
        waits, latest = [AFTER_FAILURE_S], math.inf  # in the first round each has its whole share
        while works:
            left: list[tuple[Work, float]] = []
            for work, share_s in works:
                done: list[float] = []
                until = min(time.monotonic() + share_s, latest)
                self._attempt(partial(work, opened, now, wall, until), done)
                waits += [wait_s for wait_s in done if wait_s]
                left += [(work, share_s)] if 0.0 in done else []
            if left and time.monotonic() >= ends:
                return 0.0
            works, latest = left, ends
        return min(waits)

    def _attempt(self, work: Callable[[], float | None], waits: list[float]) -> bool:
        """Do the work, note after how many seconds it is to be continued, if it says so, and whether it succeeded."""
        found = self._noting.found_if_possible
        try:
            wait_s = work()
        except SpaceError as error:
            found(FindingKind.DISK_FULL, "disk", f"{error.message}; nothing already kept is removed")
        except LockedError as error:
            found(FindingKind.CANNOT_LOCK, self.server.name, error.message)
        except PermafrostError as error:
            found(FindingKind.CANNOT_WORK, self.server.name, error.message)
        except OSError as error:
            file = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
            found(FindingKind.CANNOT_READ, file, f"{file}: {error.strerror}")
        except sqlite3.DatabaseError as error:
            found(FindingKind.RECORDS, "records", f"the vault's records cannot be written: {error}")
        else:
            if wait_s is not None:
                waits.append(wait_s)
            return True
        return False

    def _tick(self, moment: Moment) -> None:
        last = self.records.own_time()
        own = last.at(moment) if last is not None else OwnTime(moment.wall, moment)
        self._noting.now, self._noting.wall = own.now, moment.wall
        self.records.record_time(own)
        jump = last.jump_to(moment) if last is not None else timedelta(0)
        if jump:
            message = f"the clock of this vault jumped by {jump}; its history does not age by it"
            self._noting.found(FindingKind.CLOCK_JUMPED, "clock", message)
        self._noting.let_old_ones_end()

    def _open(self) -> None:
        if self._opened is None:
            wall = self._noting.wall
            self._opened = open_history(
                self._vault, self.server, self._client, self._noting, self._stack, self._report, wall
            )

    def _take(self, opened: OpenedHistory, now: datetime, wall: datetime, until: float) -> float:
        """Take what has come whole, for its share of the turn."""
        intake = opened.intake
        there = intake.there()
        if there is None:
            place = self._vault.received(self.server)
            self._noting.found(FindingKind.CANNOT_READ, str(place), f"{place}: the received folder is not there")
            return LOOK_S
        intake.notice(there, now, wall)
        room = intake.room(self._vault.settings.history, now)
        for candidate in intake.candidates.there_are(there, now, until, is_room=room > 0):
            has_begun = intake.has_begun(candidate) and room > 0
            reason = None if has_begun else refusal(self._vault, opened.usage, intake, candidate, room)
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
                break
        return LOOK_S if time.monotonic() <= until else 0.0

    def _compare(self, opened: OpenedHistory, now: datetime, wall: datetime, until: float) -> float:
        """Look for what the server has removed or replaced, and for what was changed here."""
        if self._vault.received(self.server).is_dir() and not opened.removals.look(now, wall, until):
            return 0.0
        opened.local_changes.look(now)
        return LOOK_S

    def _receive(self, opened: OpenedHistory, now: datetime, _wall: datetime, until: float) -> float:
        return LOOK_S if opened.receiving.look(now, until) else 0.0

    def _drop(self, opened: OpenedHistory, now: datetime, _wall: datetime, _until: float) -> None:
        if not (self._noting.has_news or self._drop_pace.is_due(now)):
            return
        self._drop_pace.done(now)
        done = drop_old(opened.folder, self.records, self._vault.settings.history, now, self._noting.found)
        if done is not None:
            opened.intake.begin_again()
            self._noting.has_news = True
            self._report(Note(f"{self.server.name}: {done}"))

    def _audit(self, opened: OpenedHistory, now: datetime, _wall: datetime, until: float) -> float:
        opened.audit.mend(now, until)
        opened.audit.slice(now, self._vault.settings.history.audit_days, until)
        return LOOK_S if time.monotonic() <= until else 0.0

    def _keep_media(self, opened: OpenedHistory, now: datetime, _wall: datetime, until: float) -> float:
        """Resume the scan of the media if it is time, for its share of the turn."""
        media = opened.media.history if opened.media is not None else None
        if opened.media is None or media is None:
            return LOOK_S
        is_waited_for = opened.media.pull is not None and not media.has_scanned
        if not (media.is_scanning or is_waited_for or self._media_pace.is_due(now)):
            return LOOK_S
        keep = timedelta(days=self._vault.settings.keep_removed_media_days)
        is_done = media.work(now, keep=keep, allowed_bytes=self._allowed_bytes(opened, media), until=until)
        if is_done:
            self._media_pace.done(now)
        return LOOK_S if is_done else 0.0

    def _allowed_bytes(self, opened: OpenedHistory, media: MediaHistory) -> int:
        """Return what all media of the history may cost the disk."""
        others_bytes = opened.usage.total_bytes() - media.cost_bytes()
        return min(share_bytes(self._vault) - others_bytes, media.cost_bytes() + room_on_disk(self._vault))

    def _pull_media(self, opened: OpenedHistory, now: datetime, _wall: datetime, until: float) -> float:
        """Fetch media from the server's object store, for its share of the turn."""
        media = opened.media
        if media is None or media.pull is None or media.key_intake is None:
            return LOOK_S
        if not media.key_intake.work(now, until):
            return 0.0
        history = media.history
        wait_s = media.pull.work(now, until, lambda: self._allowed_bytes(opened, history))
        if wait_s and media.pull.has_news:
            media.pull.has_news, self._compared_list = False, None
        return wait_s

    def _take_media_list(self, opened: OpenedHistory, now: datetime, _wall: datetime, until: float) -> float:
        """Take in the server's media list, and compare with it if it is another one than was compared with last."""
        if opened.media is None:
            return LOOK_S
        if not opened.media.intake.work(now, until):
            return 0.0
        snapshot = self.records.note(LIST_SNAPSHOT)
        if snapshot != self._compared_list:
            self._compared_list = snapshot
            self._comparing = report_balance(opened.media.history.needed, self.records, self._noting.found, now)
        while self._comparing is not None:
            if time.monotonic() > until:
                return 0.0
            if next(self._comparing, self) is self:
                self._comparing, self._noting.has_news = None, True
        return LOOK_S

    def _audit_media(self, opened: OpenedHistory, now: datetime, _wall: datetime, until: float) -> float:
        """Read the media that have come, and again what is due."""
        if opened.media is None:
            return LOOK_S
        opened.media.audit.mend(now, until)
        return LOOK_S if opened.media.audit.slice(now, self._vault.settings.history.audit_days, until) else 0.0

    def _say(self, wall: datetime) -> None:
        """Publish what can be said of the server, if it has changed, or was not said for an hour."""
        now = self._noting.now
        if self._publish is None or not (self._noting.has_news or self._statement_pace.is_due(now)):
            return
        self._publish(self.server, self.statement(wall))
        self._noting.has_news = False
        self._statement_pace.done(now)

    def statement(self, wall: datetime) -> Statement:
        """Return what can be said of the server now, by the machine's clock."""
        kept = self._opened.media if self._opened is not None else None
        media = kept.history.versions if kept is not None else None
        free, _ = free_bytes(self._vault.root)
        return statement_of(self.records, self.server.repository_id, wall, free, media)
