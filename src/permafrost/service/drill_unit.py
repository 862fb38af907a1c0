"""Where the service's drills run: in permafrost-drill.service if its unit says so, otherwise as children of its own.

The unit is closed to what the sandbox of a drill needs, so it names a socket in $PERMAFROST_DRILL_SOCKET by which
another unit, open to just that, is started (docs/decisions/0094). Where nothing is named, as in containers, at a
terminal and with other service managers, drills are jobs like the others.

A socket that is named and cannot be used is a finding, from the start of the service on and until it can be used. The
drill then runs as a child all the same: it comes to its end or says what it lacks, but is never left out.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.findings import FindingKind
from permafrost.runs import DRILL_UNIT, RunRecords

SOCKET_VARIABLE = "PERMAFROST_DRILL_SOCKET"


def drill_socket(environment: Mapping[str, str]) -> Path | None:
    """Return the socket by which a unit runs drills, None if drills are children of the service."""
    named = environment.get(SOCKET_VARIABLE)
    return Path(named) if named else None


def why_unusable(place: Path) -> str:
    """Return why no unit can be started by this socket, empty if one can; nothing is started by asking.

    To a connection of another kind the kernel answers EPROTOTYPE if somebody has the socket open, and otherwise why it
    cannot be had (unix(7)).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        try:
            caller.connect(str(place))
        except OSError as error:
            is_there = error.errno == errno.EPROTOTYPE
            return "" if is_there else str(error.strerror or error)
    return "it is no socket of a stream"


@dataclass(slots=True)
class DrillUnit:
    """The unit that runs drills, as far as a service knows it; `place` is None if there is none."""

    place: Path | None
    records: RunRecords
    report: Reporter
    _known: str | None = None
    """Why it cannot be used, empty if it can; None before the first look."""

    def look(self, now: datetime) -> bool:
        """Return whether it can be asked for drills; report and record what has changed since the last look."""
        reason = why_unusable(self.place) if self.place is not None else ""
        if reason != self._known:
            self._known = reason
            try:
                self._tell(reason, now)
            except PermafrostError as error:  # never in the way of the schedule
                self.report(Warned(f"the finding about permafrost-drill.service is not recorded: {error.message}"))
        return self.place is not None and not reason

    def options(self, now: datetime) -> tuple[str, ...]:
        """Return what is to be added to the command of a drill, so that the unit runs it if it can."""
        return ("--ask-unit", str(self.place)) if self.look(now) else ()

    def _tell(self, reason: str, now: datetime) -> None:
        last = self.records.newest(DRILL_UNIT)
        was_unusable = last is not None and last.outcome == "failed"
        message = f"permafrost-drill.service cannot be asked for drills: {self.place}: {reason}" if reason else ""
        if reason:
            self.report(Warned(f"{message}; the service runs them itself. {FindingKind.DRILL_UNIT.remedy}"))
        elif was_unusable:
            self.report(Note("drills run where the service's unit says again"))
        if was_unusable != bool(reason):
            self._record(message, now)

    def _record(self, problem: str, now: datetime) -> None:
        outcome, details = ("failed", {"message": problem}) if problem else ("done", {})
        self.records.end(self.records.begin(DRILL_UNIT, now), now, outcome, details=details)
