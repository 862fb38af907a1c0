"""What was promised, held against what is measured: how long a restore takes, and how much would be lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from permafrost.amounts import span_text
from permafrost.config.models import Promise
from permafrost.documents.status import PlaceDocument
from permafrost.findings import Finding, FindingKind
from permafrost.status.verdict import Proof

_ON_ITS_WAY = timedelta(minutes=15)
"""A snapshot has to travel, and to be checked, before a vault says that it keeps it."""


def promise_findings(
    promise: Promise, places: Sequence[PlaceDocument], proof: Proof, now: datetime
) -> Iterator[Finding]:
    """Yield which promise would be broken now. Without another place, other findings say that all would be lost."""
    if promise.restore_minutes is not None and proof.restore_s is not None:
        limit_s = promise.restore_minutes * 60
        if proof.restore_s > limit_s:
            message = f"a restore takes about {span_text(proof.restore_s)}, and {span_text(limit_s)} are promised"
            yield Finding(FindingKind.RESTORE_SLOW, "restore_minutes", message)
    kept = [place.restorable_to for place in places if place.kind != "server" and place.restorable_to is not None]
    if promise.lost_minutes is not None and kept:
        limit = timedelta(minutes=promise.lost_minutes)
        lost = now - max(kept)
        if lost > limit + _ON_ITS_WAY:
            message = (
                f"the last {span_text(lost.total_seconds())} would be lost with this server, and at most "
                f"{span_text(limit.total_seconds())} are promised"
            )
            yield Finding(FindingKind.LOSES_MORE, "lost_minutes", message)
