"""Detects that a server has sent nothing new for longer than it declared, or than the vault's admin allows.

Only a snapshot that has come whole and was taken counts: folders, lists and objects of snapshots that never become
complete do not. What a snapshot's name says of its date does not matter either; arrival is by the vault's own clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from permafrost.amounts import span_text
from permafrost.findings import FindingKind, FindingSink
from permafrost.vault.arrivals import DROPPED, KEPT, Records
from permafrost.vault.declaration import Declaration

ON_THE_WAY = timedelta(hours=3)
"""How long a backup and its transfer may take on top of the declared interval."""
UNDECLARED = timedelta(hours=26)
_SINCE = "kept-since"
_SUBJECT = "snapshots"


def look_for_silence(
    records: Records,
    declaration: Declaration | None,
    allowed_minutes: int | None,
    now: datetime,
    found: FindingSink,
) -> None:
    """Report that nothing new has come for too long, at `now` by the vault's own time, or that this has ended.

    `allowed_minutes` is what vault.toml says; without it the server's declaration counts.
    """
    began = records.noted_time(_SINCE)
    if began is None:
        records.set_note(_SINCE, now.isoformat())
        began = now
    taken = [arrival.arrived_at for arrival in records.arrivals(KEPT, DROPPED) if arrival.arrived_at is not None]
    last = max(taken, default=began)
    every_s = declaration.backup_every_s if declaration is not None else None
    allowed = UNDECLARED if every_s is None else timedelta(seconds=every_s) + ON_THE_WAY
    if allowed_minutes is not None:
        allowed = timedelta(minutes=allowed_minutes)
    if now - last <= allowed:
        records.ledger.end(FindingKind.NOTHING_NEW.code, _SUBJECT, now)
        return
    promise = "declares no schedule" if every_s is None else f"declares a backup every {span_text(every_s)}"
    message = (
        f"no new snapshot has been taken from the server for {span_text((now - last).total_seconds())}; it {promise}"
    )
    found(FindingKind.NOTHING_NEW, _SUBJECT, message)
