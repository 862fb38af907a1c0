"""What each receiver of alerts was told, and whether it can be reached: one file for each in the state folder.

`notify` writes them, from the receiver's own thread; status reads them. Losing one loses no backup: then what holds is
told again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from permafrost.config.alerting import Notify, ReceiverKind
from permafrost.findings import Finding, FindingKind, Severity
from permafrost.small_files import read_small

DELIVERIES = "notify"
"""The folder of the files, in the state folder."""
GRACE = timedelta(minutes=5)
"""For how long a receiver may fail before that is a finding: most outages are shorter."""
_MOST_BYTES = 4 << 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Told(_Part):
    """An alert that the receiver knows of. `told_at` is when it was told last."""

    code: str
    subject: str
    severity: Severity
    message: str
    told_at: AwareDatetime


class Deliveries(_Part):
    """What is known of one receiver."""

    told: tuple[Told, ...] = ()
    digest_at: AwareDatetime | None = None
    """When a digest was sent last, or, before the first, since when there is one to be sent."""
    failing_since: AwareDatetime | None = None
    """Since when nothing has reached it; None if the last attempt did, or there was none."""
    problem: str = ""
    """Why the last attempt failed."""


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """A receiver, and since when and why nothing has reached it; None and empty if the last attempt did."""

    name: str
    kind: ReceiverKind
    failing_since: datetime | None
    problem: str


def deliveries_file(state: Path, name: str) -> Path:
    """Return the file of the receiver `name`."""
    return state / DELIVERIES / f"{name}.json"


def read_deliveries(state: Path, name: str) -> Deliveries:
    """Return what is known of the receiver `name`; nothing if there is no file, or none that can be read."""
    try:
        return Deliveries.model_validate_json(read_small(deliveries_file(state, name), _MOST_BYTES))
    except (OSError, ValidationError):
        return Deliveries()


def receivers_of(state: Path, receivers: Iterable[Notify]) -> tuple[ReceiverState, ...]:
    """Return how it is with each receiver."""
    known = ((receiver, read_deliveries(state, receiver.name)) for receiver in receivers)
    return tuple(ReceiverState(one.name, one.kind, told.failing_since, told.problem) for one, told in known)


def delivery_findings(receivers: Iterable[ReceiverState], now: datetime) -> Iterator[Finding]:
    """Yield a finding for each receiver that could not be reached for longer than `GRACE`."""
    for receiver in receivers:
        if receiver.failing_since is not None and now - receiver.failing_since > GRACE:
            since = f"{receiver.failing_since:%Y-%m-%d %H:%M} UTC"
            message = f"nothing has reached {receiver.name} since {since}: {receiver.problem}"
            yield Finding(FindingKind.NOTIFY_FAILED, receiver.name, message)
