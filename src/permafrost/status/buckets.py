"""Buckets as places, and what is wrong with them: by what uploads and verifications have left in the state folder.

Nobody at a bucket re-reads anything or signs a receipt. So of a bucket it is said what the store has taken, each file
with its SHA-256, and when somebody last verified that from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.amounts import count_text, span_text
from permafrost.buckets.report import BucketReport, Problem, read_report, report_file
from permafrost.config.buckets import Bucket
from permafrost.documents.status import PlaceDocument
from permafrost.findings import Finding, FindingKind
from permafrost.repository.layout import SnapshotId
from permafrost.runs import Run

GRACE = timedelta(minutes=15)
"""For how long an object store may fail before that is a finding: most outages are shorter."""
_LOCK_SLACK = timedelta(days=1)
_KINDS: dict[Problem, FindingKind] = {
    "unreachable": FindingKind.BUCKET_UNREACHABLE,
    "refused": FindingKind.BUCKET_REFUSED,
    "full": FindingKind.BUCKET_FULL,
    "clock": FindingKind.BUCKET_CLOCK,
}
Reports = Sequence[tuple[Bucket, BucketReport]]


def bucket_reports(state: Path, buckets: Iterable[Bucket], repository_id: str) -> Reports:
    """Return what is known of each bucket about the repository."""
    return [(bucket, read_report(report_file(state, bucket, repository_id))) for bucket in buckets]


def bucket_places(reports: Reports, proven: frozenset[str], drills: Sequence[Run]) -> tuple[PlaceDocument, ...]:
    """Return the buckets as places. A snapshot there has the bytes of the one that a restore has proven here.

    `drills` are those from buckets: what was restored from the place itself, over its network and with its key.
    """
    return tuple(_place(bucket, known, proven, _of(bucket, drills, "done")) for bucket, known in reports)


def bucket_drill_findings(reports: Reports, drills: Sequence[Run]) -> Iterator[Finding]:
    """Yield each bucket whose last drill failed."""
    for bucket, _ in reports:
        last = _of(bucket, drills, "done", "failed")
        if last is not None and last.outcome == "failed":
            message = f"the last drill from the bucket {bucket.name} failed: {last.details.get('error', 'unknown')}"
            yield Finding(FindingKind.BUCKET_DRILL_FAILED, bucket.name, message)


def _of(bucket: Bucket, drills: Sequence[Run], *outcomes: str) -> Run | None:
    """Return the bucket's newest drill that ended so."""
    its = [run for run in drills if run.details.get("bucket") == bucket.name and run.outcome in outcomes]
    return max(its, key=lambda run: run.ended_at or run.started_at, default=None)


def _place(bucket: Bucket, known: BucketReport, proven: frozenset[str], drilled: Run | None) -> PlaceDocument:
    held = _held(known)
    return PlaceDocument(
        name=bucket.name,
        kind="bucket",
        restorable_to=max((snapshot.made_at for snapshot in held), default=None),
        keeps_back_to=min((snapshot.made_at for snapshot in held), default=None),
        snapshots=len(held),
        proven_to=max((snapshot.made_at for snapshot in held if str(snapshot) in proven), default=None),
        all_read_since=known.all_read_since,
        media_files=None,
        media=None,
        size_bytes=known.size_bytes if known.passed_at else None,
        free_bytes=None,
        disk_bytes=None,
        growth_bytes_per_day=None,
        room_days=None,
        heard_at=known.done_at,
        drilled_at=drilled.ended_at if drilled else None,
    )


def bucket_findings(
    reports: Reports, snapshots: Sequence[SnapshotId], removed: frozenset[str], now: datetime
) -> Iterator[Finding]:
    """Yield what is wrong with each bucket; `snapshots` are those that are here, `removed` those that no longer are."""
    for bucket, known in reports:
        yield from _about_uploads(bucket, known, now)
        yield from _about_lateness(bucket, known, snapshots, now)
        yield from _about_locks(bucket, known, now)
        lost = sorted({*known.snapshots} - removed - {*map(str, snapshots)})
        if lost:
            count = count_text(len(lost), "snapshot")
            message = f"{bucket.name} has {count} that are gone here, although no prune removed them: {lost[-1]}"
            yield Finding(FindingKind.BUCKET_KEEPS_LOST, bucket.name, message)
        if known.bad_count:
            what = count_text(known.bad_count, "file")
            message = f"{what} in the bucket {bucket.name} missing or damaged: {', '.join(known.bad[:3])}"
            yield Finding(FindingKind.BUCKET_CORRUPT, bucket.name, message)


def _about_uploads(bucket: Bucket, known: BucketReport, now: datetime) -> Iterator[Finding]:
    if known.failing_since is None or known.problem_kind is None:
        return
    failing = now - known.failing_since
    if known.problem_kind == "unreachable" and failing <= GRACE:
        return
    kind = _KINDS.get(known.problem_kind, FindingKind.BUCKET_FAILED)
    message = f"nothing has been uploaded to {bucket.name} for {span_text(failing.total_seconds())}: {known.problem}"
    yield Finding(kind, bucket.name, message)


def _about_lateness(
    bucket: Bucket, known: BucketReport, snapshots: Sequence[SnapshotId], now: datetime
) -> Iterator[Finding]:
    newest_there = max(_held(known), default=None)
    limit = now - timedelta(hours=bucket.late_hours)
    late = [one for one in snapshots if one.made_at <= limit and (newest_there is None or one > newest_there)]
    if late:
        since = f"its newest is {newest_there}" if newest_there is not None else "it has none yet"
        count = count_text(len(late), "snapshot")
        message = f"{bucket.name} lacks {count} older than {bucket.late_hours} hours; {since}"
        yield Finding(FindingKind.BUCKET_LATE, bucket.name, message)


def _about_locks(bucket: Bucket, known: BucketReport, now: datetime) -> Iterator[Finding]:
    if not bucket.lock_days:
        return
    if known.has_lock is False:
        message = f"the bucket {bucket.name} takes no locks: anyone with a key that may delete can empty it"
        yield Finding(FindingKind.BUCKET_UNLOCKED, bucket.name, message)
    elif known.passed_at is not None and known.done_at is not None:
        promised = now + timedelta(days=bucket.lock_days) - _LOCK_SLACK
        if known.locked_until is None or known.locked_until < promised:
            ends = f"on {known.locked_until:%Y-%m-%d}" if known.locked_until else "now: something there is not locked"
            message = f"in {bucket.name} the first lock ends {ends}, and {bucket.lock_days} days are promised"
            yield Finding(FindingKind.BUCKET_LOCKS, bucket.name, message)


def _held(known: BucketReport) -> list[SnapshotId]:
    return [SnapshotId(name) for name in known.snapshots if SnapshotId.is_name(name)]
