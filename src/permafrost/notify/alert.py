"""What receivers are told about: the alerts that hold at a moment, on a server or on a vault."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal
from uuid import uuid4

from permafrost.config.alerting import PingedJob
from permafrost.findings import Finding, Severity


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding, as receivers are told of it. Two with the same code and subject are the same alert."""

    code: str
    subject: str
    severity: Severity
    message: str
    remedy: str

    @property
    def key(self) -> tuple[str, str]:
        """By what it is known again."""
        return self.code, self.subject

    @classmethod
    def of(cls, finding: Finding) -> Alert:
        """Return the alert about a finding."""
        return cls(finding.code, finding.subject, finding.severity, finding.message, finding.remedy)


@dataclass(frozen=True, slots=True)
class Look:
    """What a service saw when it looked: the alerts that hold at `at`, and a summary in lines for a digest.

    A look that is not whole does not know what has ended: something could not be read. `zone` is the local time, in
    which quiet hours and digests are meant.
    """

    at: datetime
    alerts: tuple[Alert, ...]
    summary: tuple[str, ...] = ()
    is_whole: bool = True
    zone: tzinfo = UTC

    def at_least(self, severity: Severity) -> tuple[Alert, ...]:
        """Return the alerts of that severity or a higher one, the most severe first, each once."""
        each = {alert.key: alert for alert in reversed(self.alerts) if alert.severity >= severity}
        return tuple(sorted(each.values(), key=lambda alert: (-alert.severity, alert.code, alert.subject)))


def severity_named(word: str) -> Severity:
    """Return the severity that is written `word`."""
    return Severity[word.upper()]


@dataclass(frozen=True, slots=True)
class Ping:
    """What a monitor is told of a run of a job: that it begins, or how it ended; for `findings`, how things are.

    `run_id` is the same UUID for the begin and the end of a run. `exit_code` is 0 for success, up to 255 otherwise.
    """

    job: PingedJob
    event: Literal["start", "end", "test"]
    run_id: str
    exit_code: int = 0
    duration_s: float | None = None
    text: str = ""


def new_run_id() -> str:
    """Return a UUID for a run, as monitors want it."""
    return str(uuid4())


def most_severe(alerts: Iterable[Alert]) -> Severity | None:
    """Return the highest severity among the alerts, None if there is none."""
    return max((alert.severity for alert in alerts), default=None)
