"""What a receiver is to be told now: the difference between what it was told and what holds.

Rules:

1. An alert below the receiver's severity is none for it.
2. It is told once when it appears, again if it has grown worse, and once when it has ended.
3. An alarm that still holds is told again after `repeat_hours`.
4. In quiet hours only alarms are told. The rest waits: what has come and gone meanwhile is never told.
5. A look that is not whole ends nothing.
6. What could not be delivered was not told: the next look finds the same difference again, as it is then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from permafrost.config.alerting import Notify
from permafrost.findings import Severity
from permafrost.notify.alert import Alert, Look, severity_named
from permafrost.status.deliveries import Told


@dataclass(frozen=True, slots=True)
class News:
    """What to tell: alerts that appeared, grew worse, or still hold after a time, and what has ended."""

    appeared: tuple[Alert, ...] = ()
    worse: tuple[Alert, ...] = ()
    repeated: tuple[Alert, ...] = ()
    ended: tuple[Told, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.appeared or self.worse or self.repeated or self.ended)

    @property
    def holding(self) -> tuple[Alert, ...]:
        """All alerts in it that hold."""
        return (*self.appeared, *self.worse, *self.repeated)


def news_for(receiver: Notify, told: tuple[Told, ...], look: Look, now: datetime, *, is_quiet: bool) -> News:
    """Return what the receiver is to be told at `now`, given what it was told."""
    known = {(earlier.code, earlier.subject): earlier for earlier in told}
    holding = look.at_least(severity_named(receiver.severity))
    present = {alert.key for alert in holding}
    told_now = tuple(alert for alert in holding if not is_quiet or alert.severity >= Severity.ALARM)
    return News(
        appeared=tuple(alert for alert in told_now if alert.key not in known),
        worse=tuple(alert for alert in told_now if _grew_worse(alert, known.get(alert.key))),
        repeated=tuple(alert for alert in told_now if _is_to_be_repeated(alert, known.get(alert.key), receiver, now)),
        ended=tuple(one for key, one in known.items() if key not in present) if look.is_whole and not is_quiet else (),
    )


def told_after(news: News, told: tuple[Told, ...], now: datetime) -> tuple[Told, ...]:
    """Return what the receiver knows once it has been told the news at `now`."""
    gone = {(over.code, over.subject) for over in news.ended}
    after = {
        (earlier.code, earlier.subject): earlier for earlier in told if (earlier.code, earlier.subject) not in gone
    }
    for alert in news.holding:
        after[alert.key] = Told(
            code=alert.code, subject=alert.subject, severity=alert.severity, message=alert.message, told_at=now
        )
    return tuple(after.values())


def _grew_worse(alert: Alert, known: Told | None) -> bool:
    return known is not None and alert.severity > known.severity


def _is_to_be_repeated(alert: Alert, known: Told | None, receiver: Notify, now: datetime) -> bool:
    if known is None or alert.severity < Severity.ALARM or alert.severity > known.severity:
        return False
    return receiver.repeat_hours > 0 and now - known.told_at >= timedelta(hours=receiver.repeat_hours)
