"""What the server's own snapshots, clock and runs show that needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from permafrost.findings import Finding, FindingKind, kind_of
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import ahead, is_ahead, newest
from permafrost.runs import DRILL, DRILL_UNIT, SCAN_FINDING, SCAN_MESSAGE, SEAL_MEDIA, Run, RunRecords
from permafrost.schedule import Calendar
from permafrost.status.schedule import late_snapshot

_SEALING_LATE = timedelta(hours=26)
_OF_SCANS = (FindingKind.ROWS_OVERLOOKED, FindingKind.OLD_TRANSACTION)


def about_newest(latest: SnapshotId | None, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Yield that there is no snapshot, or that a newer one should exist."""
    if latest is None:
        yield Finding(FindingKind.NO_SNAPSHOT, "repository", "there is no snapshot yet: permafrost backup")
    elif not is_ahead(latest, now) and (late := late_snapshot(calendar, latest, now)) is not None:
        yield late


def about_clock(snapshots: Sequence[SnapshotId], records: RunRecords, now: datetime) -> Iterator[Finding]:
    """Yield what clocks that were wrong have left: snapshots of the future, and a last one that seems to be old."""
    future = ahead(snapshots, now)
    if future and len(future) == len(snapshots):
        message = f"every snapshot is in the future, the newest is {future[-1]}: the clock of this machine is wrong"
        yield Finding(FindingKind.CLOCK, str(future[-1]), message)
    else:
        for snapshot in future:
            message = f"snapshot {snapshot} is in the future: the clock was wrong when it was made, or is wrong now"
            yield Finding(FindingKind.CLOCK, str(snapshot), message)
    last = records.newest("backup", "done")
    latest = newest(snapshots, now)
    if last is None or latest is None or last.snapshot is None or not SnapshotId.is_name(last.snapshot):
        return
    made = SnapshotId(last.snapshot)
    if made in snapshots and made < latest and not is_ahead(made, now):
        message = (
            f"the last backup made snapshot {made}, which seems older than {latest}: the clock was behind then, and "
            "latest does not refer to it"
        )
        yield Finding(FindingKind.CLOCK_BEHIND, str(made), message)


def last_failure(records: RunRecords) -> str | None:
    """Return why the last backup failed, None if it did not."""
    last = records.newest_settled("backup")
    failed = last is not None and last.outcome == "failed"
    return str(last.details.get("error", "unknown")) if last is not None and failed else None


def about_sealing(records: RunRecords, now: datetime) -> Iterator[Finding]:
    """Yield that media which are to be sealed were not, or not all; for a server that has a store of sealed media."""
    last, done = records.newest_settled(SEAL_MEDIA), records.newest(SEAL_MEDIA, "done")
    since = (done.ended_at or done.started_at) if done is not None else records.oldest_start()
    if last is not None and last.outcome == "failed":
        message = f"media are not sealed: {last.details.get('error', 'unknown')}"
        yield Finding(FindingKind.MEDIA_NOT_SEALED, "media", message)
    elif since is not None and now - since > _SEALING_LATE:
        message = f"no media have been sealed since {since:%Y-%m-%d %H:%M} UTC"
        yield Finding(FindingKind.MEDIA_NOT_SEALED, "media", message)
    elif done is not None and (count := done.details.get("not_sealed")):
        message = f"{count} media files could not be sealed; permafrost vault seal-media names some"
        yield Finding(FindingKind.MEDIA_NOT_SEALED, "media", message)


def about_runs(records: RunRecords) -> Iterator[Finding]:
    """Yield that the last drill or the last backup failed, and what is wrong with what the last snapshots hold."""
    yield from about_drill(records.newest_settled(DRILL))
    unit = records.newest(DRILL_UNIT)
    if unit is not None and unit.outcome == "failed":
        yield Finding(FindingKind.DRILL_UNIT, "permafrost-drill.service", str(unit.details.get("message")))
    failure = last_failure(records)
    if failure is not None:
        yield Finding(FindingKind.BACKUP_FAILED, "backup", f"the last backup failed: {failure}")
    made = records.newest("backup", "done")
    missing = made.details.get("identity_keys_missing") if made is not None else None
    if isinstance(missing, list) and missing:
        message = f"the newest snapshot does not hold {', '.join(map(str, missing))}, which all accounts' keys need"
        yield Finding(FindingKind.IDENTITY_KEYS_MISSING, "secrets", message)
    kind = kind_of(str(made.details.get(SCAN_FINDING))) if made is not None else None
    if made is not None and kind in _OF_SCANS:
        yield Finding(kind, "database", str(made.details.get(SCAN_MESSAGE)))


def about_drill(last: Run | None, where: str = "") -> Iterator[Finding]:
    """Yield that the last drill, made `where`, failed, or what it has found in the restored database."""
    if last is None:
        return
    found = last.details.get("findings")
    if last.outcome == "failed":
        message = f"the last drill{where} failed: {last.details.get('error', 'unknown')}"
        yield Finding(FindingKind.DRILL_FAILED, str(last.snapshot or "drill"), message)
    elif isinstance(found, list) and found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        message = f"the last drill{where} found something in what it restored: {found[0]}{more}"
        yield Finding(FindingKind.DRILL_FINDINGS, "drill", message)
