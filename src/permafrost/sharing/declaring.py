"""Writes what the server declares to its vaults into the repository, whence Syncthing carries it to each of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise, takewhile

from permafrost.config.models import Configuration
from permafrost.repository.durable import write_durably
from permafrost.schedule import Calendar, JobName, Rhythm, calendar_of, local_zone
from permafrost.small_files import read_small
from permafrost.vault.declaration import (
    DECLARATION_FILE,
    LONGEST_S,
    MAXIMUM_BYTES,
    Declaration,
    DeclaredRetention,
)

_BACKUPS: tuple[JobName, ...] = ("backup", "audit")
_LOOKED_AHEAD = timedelta(days=100)
"""Of two months in a row one has 31 days, so what is declared of a monthly backup stays the same all year."""
_MOST_MOMENTS = 1000
"""More than half a day of a backup every minute, which shows the night that it leaves out."""


def declare(configuration: Configuration, now: datetime) -> None:
    """Make the repository's declaration say what the configuration does; nothing is written if it does already.

    Before a prune: a vault must be able to tell what the new rules explain.
    """
    content = declaration_of(configuration, now).encode()
    file = configuration.repository.path / DECLARATION_FILE
    try:
        if read_small(file, MAXIMUM_BYTES) == content:
            return
    except OSError:
        pass  # there is none yet, or something else is in its place
    write_durably(file, content, 0o444)


def declaration_of(configuration: Configuration, now: datetime) -> Declaration:
    """Return what the configuration promises."""
    gap_s = longest_gap_s(calendar_of(configuration.schedule, local_zone()), now)
    retention = DeclaredRetention.model_validate(configuration.retention.model_dump())
    return Declaration(backup_every_s=gap_s, retention=retention)


def longest_gap_s(calendar: Calendar, now: datetime) -> int | None:
    """Return the longest time between two scheduled backups, audited or not; None if none are scheduled."""
    lists = [list(_moments(rhythm, now)) for job in _BACKUPS if (rhythm := calendar.rhythms.get(job)) is not None]
    if not any(lists):
        return LONGEST_S if lists else None
    # beyond the end of the shorter list, the other would be alone
    horizon = min(moments[-1] if len(moments) == _MOST_MOMENTS else now + _LOOKED_AHEAD for moments in lists if moments)
    ordered = sorted({moment for moments in lists for moment in moments if moment <= horizon})
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(ordered)]
    return min(LONGEST_S, round(max(gaps, default=LONGEST_S)))


def _moments(rhythm: Rhythm, now: datetime) -> Iterator[datetime]:
    return takewhile(lambda moment: moment - now <= _LOOKED_AHEAD, islice(rhythm.after(now), _MOST_MOMENTS))
