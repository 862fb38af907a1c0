"""Keeps the history of one server: takes what has come, drops what the retention lets go, audits, and tells."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from permafrost.errors import IntegrityError, InterruptedRunError, PermafrostError, RepositoryError, SpaceError
from permafrost.events import Note, Reporter, Warned
from permafrost.openpgp.home import temporary_home
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.reading import make_verifier
from permafrost.syncthing.client import Client
from permafrost.vault.arrivals import DROPPED, KEPT, WAITING, Arrival, KeptObject, Records
from permafrost.vault.clock import Moment, OwnTime
from permafrost.vault.history import to_keep
from permafrost.vault.history_folder import HistoryFolder, free_bytes
from permafrost.vault.media_history import MediaHistory
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault.statement import Statement, statement_of
from permafrost.vault_keeping.bitrot import Audit
from permafrost.vault_keeping.intake import Candidate, Receiving
from permafrost.vault_keeping.local_changes import LocalChanges
from permafrost.vault_keeping.tampering import Tampering

TURN_S = 5.0
"""How long a turn works for one server, at most, give or take the hashing of one object."""
AFTER_FAILURE_S = 30.0
LOOK_S = 2.0
"""How often it looks for what has come: a folder's names, which costs nothing."""
TAMPERING_S = 60.0
MEDIA_S = 3600.0
STATEMENT_S = 3600.0
FINDINGS_STAY = timedelta(days=30)
Publish = Callable[[VaultServer, Statement], None]
_LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class ServerKeeper:
    """Keeps the history of one server."""

    def __init__(
        self, vault: Vault, server: VaultServer, client: Client | None, report: Reporter, publish: Publish | None
    ) -> None:
        self.vault = vault
        self.server = server
        self.client = client
        self.report = report
        self._stack = ExitStack()
        self._now = _LONG_AGO
        self._history: HistoryFolder | None = None
        self._receiving: Receiving | None = None
        self._tampering: Tampering | None = None
        self._local: LocalChanges | None = None
        self._next_tampering = 0.0
        self._audit: Audit | None = None
        self._media: MediaHistory | None = None
        self._next_media = 0.0
        self._publish = publish
        self._has_changed = True
        self._next_statement = 0.0
        self._records: Records | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def turn(self, moment: Moment) -> float:
        """Do what there is to do; return after how many seconds to look again. What fails is told as a finding."""
        try:
            now = self._tick(moment)
            wait_s = self._work(now, moment.wall)
            self._say(moment.wall)
        except InterruptedRunError:
            raise
        except SpaceError as error:
            self._tell_if_possible("disk-full", "disk", f"{error.message}; what is in the history stays")
        except PermafrostError as error:
            self._tell_if_possible(f"cannot-{error.code}", self.server.name, error.message)
        except OSError as error:
            self._tell_if_possible("cannot-read", str(error.filename), f"{error.filename}: {error.strerror}")
        except sqlite3.DatabaseError as error:
            self._tell_if_possible("records", "records", f"the vault's records cannot be written: {error}")
        else:
            return wait_s
        return AFTER_FAILURE_S

    def _tell_if_possible(self, kind: str, subject: str, message: str) -> None:
        """Record the finding; on a disk that is full it can only be reported."""
        try:
            self.tell(kind, subject, message)
        except InterruptedRunError:
            raise
        except (PermafrostError, sqlite3.DatabaseError):
            self.report(Warned(f"{self.server.name}: {message}"))

    @property
    def records(self) -> Records:
        """What is known of the server; opened when first needed, as that fails while the disk is full."""
        if self._records is None:
            self._records = Records(self.vault.records(self.server))
            self._stack.callback(self._records.close)
        return self._records

    def tell(self, kind: str, subject: str, message: str) -> None:
        """Record a finding, and report it when it is new."""
        if self.records.tell(kind, subject, message, self._now):
            self._has_changed = True
            self.report(Warned(f"{self.server.name}: {message}"))

    def _tick(self, moment: Moment) -> datetime:
        last = self.records.own_time()
        own = last.at(moment) if last is not None else OwnTime(moment.wall, moment)
        self._now = own.now
        self.records.record_time(own)
        jump = last.jump_to(moment) if last is not None else timedelta(0)
        if jump:
            self.tell(
                "vault-clock", "clock", f"the clock of this vault jumped by {jump}; its history does not age by it"
            )
        self.records.forget_findings(own.now - FINDINGS_STAY)
        return own.now

    def _work(self, now: datetime, wall: datetime) -> float:
        until = time.monotonic() + TURN_S
        history, receiving = self._opened(now, wall)
        if history is None or receiving is None:
            return LOOK_S
        there = receiving.there()
        if there is not None:
            receiving.notice(there, now, wall)
            if not self._take(receiving, there, now, wall, until):
                return 0.0
            if self._tampering is not None and self._local is not None and time.monotonic() >= self._next_tampering:
                self._tampering.look(there)
                self._local.look()
                self._next_tampering = time.monotonic() + TAMPERING_S
        self._drop(history, now)
        if self._audit is not None:
            self._audit.mend(now)
            self._audit.slice(now, self.vault.settings.history.audit_days, until)
        return LOOK_S if self._keep_media(now, until) else 0.0

    def _keep_media(self, now: datetime, until: float) -> bool:
        """Go on with the scan of the media if it is time, and return whether nothing is left to do at once."""
        if self._media is None or time.monotonic() < self._next_media:
            return True
        if self._media.work(
            now,
            keep=timedelta(days=self.vault.settings.keep_removed_media_days),
            allowed_bytes=self._share() - self.records.size()[1],
            until=until,
        ):
            self._next_media = time.monotonic() + MEDIA_S
            return True
        return False

    def _share(self) -> int:
        _, disk = free_bytes(self.vault.root)
        return disk * self.vault.settings.history.share_percent // 100 // len(self.vault.settings.servers)

    def _say(self, wall: datetime) -> None:
        """Publish what can be said of the server, if it has changed, or was not said for an hour."""
        if self._publish is None or not (self._has_changed or time.monotonic() >= self._next_statement):
            return
        self._publish(self.server, self.statement(wall))
        self._has_changed = False
        self._next_statement = time.monotonic() + STATEMENT_S

    def statement(self, wall: datetime) -> Statement:
        """Return what can be said of the server now, by the machine's clock."""
        media = self._media.versions.totals()[:2] if self._media is not None else (0, 0)
        free, _ = free_bytes(self.vault.root)
        return statement_of(self.records, self.server.repository_id, wall, free, media)

    # --- opening ---

    def _opened(self, now: datetime, wall: datetime) -> tuple[HistoryFolder | None, Receiving | None]:
        if self._receiving is None:
            received = self.vault.received(self.server)
            history = HistoryFolder.opened(self.vault.history(self.server), received, self.server)
            if history is None:
                return None, None
            with ExitStack() as stack:
                stack.enter_context(repository_lock(history.layout, "vault run", wall))
                history.repository.prepare_for_writing()
                verifier = make_verifier(
                    history.repository, self.server.fingerprint, stack.enter_context(temporary_home())
                )
                self._reconcile(history, now, wall)
                self._stack.enter_context(stack.pop_all())
            self._history = history
            self._receiving = Receiving(received, history, verifier, self.records, self.tell, self.report)
            self._tampering = Tampering(received, history, self.records, self.tell)
            folder_id = next(one.folder_id for one in self.server.folders if one.kind == "repository")
            self._local = LocalChanges(self.client, folder_id, self.tell)
            self._audit = Audit(
                received,
                history,
                self.records,
                self.tell,
                self.report,
                client=self.client,
                folder_id=folder_id,
            )
            media = self.vault.media(self.server)
            if media is not None:
                self._media = MediaHistory(media, history.layout.root, self.records, self.tell)
        return self._history, self._receiving

    def _reconcile(self, history: HistoryFolder, now: datetime, wall: datetime) -> None:
        """Make the records agree with the history, which is what counts."""
        on_disk = history.snapshots()
        known = {one.snapshot for one in self.records.arrivals(KEPT)}
        for snapshot, made in on_disk.items():
            if str(snapshot) not in known:
                self.records.record(
                    Arrival(str(snapshot), now, KEPT, arrived_at=min(made, now), arrived_by_clock=min(made, wall))
                )
        lost = known - {str(snapshot) for snapshot in on_disk}
        self.records.forget(lost)
        for snapshot_name in sorted(lost):
            self.tell("lost", snapshot_name, f"snapshot {snapshot_name} is no longer in the history")
        objects = dict(history.objects())
        unknown = [name for name in objects if self.records.object(name) is None]
        with self.records.together():
            self.records.forget_objects([name for name in self.records.object_names() if name not in objects])
            self.records.record_objects(KeptObject(name, objects[name], _LONG_AGO, is_good=True) for name in unknown)

    # --- taking ---

    def _take(
        self, receiving: Receiving, there: frozenset[SnapshotId], now: datetime, wall: datetime, until: float
    ) -> bool:
        """Take what has come whole, and return whether nothing is left that could be taken at once."""
        room = receiving.room(self.vault.settings.history, now)
        for candidate in receiving.candidates(there, now, until, is_room=room > 0):
            reason = self._refusal(receiving, candidate, room)
            if reason is not None:
                self.records.set_state([candidate.arrival.snapshot], WAITING)
                self.tell(*reason)
                continue
            arrival = receiving.take(candidate, now, wall, until)
            if arrival is not None:
                room -= 1
                self._has_changed = True
                self.report(Note(f"{self.server.name}: snapshot {arrival.snapshot} is whole, and in the history"))
            elif time.monotonic() > until:
                return False
        return time.monotonic() <= until

    def _refusal(self, receiving: Receiving, candidate: Candidate, room: int) -> tuple[str, str, str] | None:
        rules = self.vault.settings.history
        if room <= 0:
            return (
                "too-many-snapshots",
                "history",
                f"more than {rules.admitted_per_hour} snapshots have come within an hour; the others wait",
            )
        _, held, _ = self.records.size()
        share = self._share()
        if held + receiving.new_bytes(candidate) > share:
            message = (
                f"snapshot {candidate.arrival.snapshot} is not taken: the history has had its share of the disk "
                f"({share} bytes); what is in it stays"
            )
            return ("history-full", "history", message)
        return None

    # --- dropping ---

    def _drop(self, history: HistoryFolder, now: datetime) -> None:
        arrivals = {one.snapshot: one.arrived_at for one in self.records.arrivals(KEPT) if one.arrived_at is not None}
        doomed = arrivals.keys() - to_keep(arrivals, self.vault.settings.history, now)
        if not doomed:
            return
        self._has_changed = True
        try:
            removed = history.drop(SnapshotId(name) for name in doomed)
        except (RepositoryError, IntegrityError) as error:
            self.tell("cannot-drop", "history", f"nothing is dropped from the history: {error.message}")
            return
        with self.records.together():
            self.records.set_state(doomed, DROPPED)
            gone = [name for name in self.records.object_names() if not history.holds(name)]
            self.records.forget_objects(gone)
        self.report(
            Note(
                f"{self.server.name}: {len(doomed)} snapshots were dropped from the history by its retention, "
                f"{removed.objects} objects with them"
            )
        )
