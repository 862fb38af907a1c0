"""Reports what a server has removed that no honest prune removes, once it is sure that the server did it.

On a vault whose Syncthing runs, two things look like a removal and are none: a prune that is being carried out right
now, file by file, and a file that somebody deleted on the vault itself. Syncthing can tell; what it says is believed
for a while only, since it repeats what the server announces.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from permafrost.errors import ReplicationError
from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.layout import SnapshotId, object_path
from permafrost.repository.snapshots import OBJECT_LIST
from permafrost.syncthing.client import Client
from permafrost.vault.arrivals import IN_FLIGHT, WAITING, Records
from permafrost.vault.declaration import Declaration
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault_keeping.comparing import Compared, Comparison
from permafrost.vault_keeping.declared import take_in_declaration
from permafrost.vault_keeping.pace import Pace
from permafrost.vault_keeping.pruning import EXCUSED_FOR, judge
from permafrost.vault_keeping.silence import look_for_silence
from permafrost.vault_keeping.withdrawals import Withdrawals

LOOK_EVERY = timedelta(minutes=1)
_SHARE, _LONGEST_PAUSE = 20, timedelta(hours=1)
"""A look that takes long, as there is so much to look at, is followed by a pause of so many times as long; but a server
that sends very much must not buy itself more than an hour."""
_MOST_ASKED = 50
_PEAK_STAYS = timedelta(days=7)
_COMPARED_AT, _DOUBT_SINCE, _MOST_SHOWN, _MOST_SHOWN_AT = "compared-at", "doubt-since", "most-shown", "most-shown-at"


class Removals:
    """Looks at one server again and again. `client` is None where no Syncthing runs."""

    def __init__(
        self,
        received: Path,
        history: HistoryFolder,
        records: Records,
        found: FindingSink,
        *,
        client: Client | None,
        folder_id: str,
        nothing_new_minutes: int | None = None,
    ) -> None:
        self._nothing_new_minutes = nothing_new_minutes
        self._received = received
        self._records = records
        self._found = found
        self._client = client
        self._folder_id = folder_id
        self._comparison = Comparison(received, history, records, found)
        self._withdrawals = Withdrawals(records.database)
        self._pace = Pace(LOOK_EVERY)
        self._steps: Iterator[Compared | None] | None = None
        self._began: datetime | None = None
        self._took_s = 0.0

    def look(self, now: datetime, wall: datetime, until: float) -> bool:
        """Begin a look if it is time, or continue one until `until` (monotonic); return whether none is left over."""
        if self._steps is None:
            if not self._pace.is_due(now):
                return True
            declaration = take_in_declaration(self._received, self._records, self._found)
            look_for_silence(self._records, declaration, self._nothing_new_minutes, now, self._found)
            self._steps, self._began = self._comparison.look(), now
            self._took_s = 0.0
        steps, self._steps = self._steps, None  # what raises is begun again by the next look
        began_s = time.monotonic()
        while (at_s := time.monotonic()) <= until:
            seen = next(steps)
            if seen is not None:
                self._conclude(seen, take_in_declaration(self._received, self._records, self._found), now, wall)
                took_s = self._took_s + time.monotonic() - began_s
                self._pace.done(now, min(timedelta(seconds=_SHARE * took_s), _LONGEST_PAUSE))
                return True
        self._took_s += at_s - began_s
        self._steps = steps
        return False

    def _conclude(self, seen: Compared, declaration: Declaration | None, now: datetime, wall: datetime) -> None:
        before = self._records.noted_time(_COMPARED_AT)
        since = before or now
        withdrawn = self._withdrawals.settle(seen.absent, since)
        verdict = judge(
            seen.shown | self._announced(WAITING),
            self._announced(IN_FLIGHT),
            withdrawn,
            declaration.retention if declaration is not None and before is not None else None,
            most_shown=self._most_shown(len(seen.shown), now),
            now=now,
            wall=wall,
        )
        first_look = {withdrawal.snapshot for withdrawal in withdrawn} - verdict.odd if before is None else frozenset()
        self._withdrawals.explain(verdict.explained | first_look)
        self._records.set_note(_COMPARED_AT, (self._began or now).isoformat())
        told = list(_in_words(seen, verdict.odd))
        if told and self._is_in_doubt(seen, verdict.odd, since, now):
            return
        if not told:
            self._records.forget_note(_DOUBT_SINCE)
        for subject, message in told:
            self._found(FindingKind.REMOVED, subject, message)

    def _announced(self, state: str) -> set[SnapshotId]:
        """Return the snapshots in that state whose list was found to be signed."""
        return {
            SnapshotId(arrival.snapshot) for arrival in self._records.arrivals(state) if arrival.list_hash is not None
        }

    def _most_shown(self, shown: int, now: datetime) -> int:
        """Return how many snapshots the server has shown at most in the last days."""
        most, at = self._records.noted_count(_MOST_SHOWN), self._records.noted_time(_MOST_SHOWN_AT)
        is_current = at is not None and now - at < _PEAK_STAYS
        if is_current and most is not None and most > shown:
            return most
        self._records.set_note(_MOST_SHOWN, str(shown))
        self._records.set_note(_MOST_SHOWN_AT, now.isoformat())
        return shown

    def _is_in_doubt(self, seen: Compared, odd: frozenset[str], since: datetime, now: datetime) -> bool:
        """Return whether Syncthing has another explanation, for the time that it is believed."""
        if self._client is None:
            return False
        doubted = self._records.noted_time(_DOUBT_SINCE)
        if now - (doubted or since) >= EXCUSED_FOR:
            return False
        try:
            is_in_doubt = self._client.is_pulling(self._folder_id) or self._was_done_here(self._client, seen, odd)
        except ReplicationError:
            is_in_doubt = True  # it is being started again, or hangs: the next look comes in a minute
        if is_in_doubt and doubted is None:
            self._records.set_note(_DOUBT_SINCE, since.isoformat())
        return is_in_doubt

    def _was_done_here(self, client: Client, seen: Compared, odd: frozenset[str]) -> bool:
        """Return whether the server still has what is gone here, and make Syncthing notice that it is."""
        paths = [
            *(f"snapshots/{snapshot}/{OBJECT_LIST}" for snapshot in sorted(odd | seen.broken)),
            *map(object_path, islice(sorted(seen.missing), _MOST_ASKED) if seen.lacking else ()),
            *seen.gone_files,
        ][:_MOST_ASKED]
        states = {path: client.file(self._folder_id, path) for path in paths}
        here = [path for path, state in states.items() if state is not None and state.newest.is_usable]
        if here:
            client.scan(self._folder_id, here)
        return bool(here)


def _in_words(seen: Compared, odd: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield subject and message of each thing that no prune explains."""
    if odd:
        message = (
            f"the server has removed {len(odd)} snapshots that the history has and that no prune explains, such as "
            f"{max(odd)}; it still shows {len(seen.shown)}"
        )
        yield "snapshots", message
    if seen.broken:
        message = (
            f"the server has removed files of {len(seen.broken)} snapshots whose folders it still shows, such as "
            f"{max(seen.broken)}"
        )
        yield "files", message
    if seen.lacking:
        message = (
            f"the server has removed objects that {len(seen.lacking)} of the snapshots it still shows need, such as "
            f"{max(seen.lacking)}, which lacks {seen.lacking[max(seen.lacking)]}"
        )
        yield "objects", message
    if seen.gone_files:
        yield "repository", f"the server has removed {', '.join(seen.gone_files)}"
