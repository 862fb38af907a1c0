"""Says how a vault stands by its server's media list: noted for receipts and status, and a finding where it lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from permafrost.findings import FindingKind, FindingSink
from permafrost.vault.arrivals import Records
from permafrost.vault.media.needed import MediaBalance, NeededMedia

_BALANCE = "media-balance"
_SUBJECT = "media"


def report_balance(needed: NeededMedia, records: Records, found: FindingSink, now: datetime) -> Iterator[None]:
    """Note what is held of what is needed, and report what is not on its way; nothing while no list has come.

    Yields after each small step: of millions of files, this is continued by later turns.
    """
    compared = yield from needed.compare(now)
    balance = compared.balance
    if not balance.needed:
        records.forget_note(_BALANCE)
    else:
        records.set_note(_BALANCE, json.dumps(balance.document()))
    what = (
        "objects with sealed media that the server lists" if needed.is_sealed else "media files that the database needs"
    )
    if balance.overdue:
        names = ", ".join(compared.overdue)
        message = f"{balance.overdue} of {balance.needed} {what} never came, such as {names}"
        found(FindingKind.MEDIA_INCOMPLETE, _SUBJECT, message)
    else:
        records.ledger.end(FindingKind.MEDIA_INCOMPLETE.code, _SUBJECT, now)
    if balance.overdue_different:
        names = ", ".join(compared.different)
        says = (
            f"{what} have another size" if needed.is_sealed else "media files have another size than the database says"
        )
        message = f"{balance.overdue_different} of {balance.needed} {says}, such as {names}"
        found(FindingKind.MEDIA_DIFFERENT, _SUBJECT, message)
    else:
        records.ledger.end(FindingKind.MEDIA_DIFFERENT.code, _SUBJECT, now)


def noted_balance(records: Records) -> MediaBalance | None:
    """Return what was noted last, None if no list has come."""
    noted = records.note(_BALANCE)
    return MediaBalance(**json.loads(noted)) if noted else None
