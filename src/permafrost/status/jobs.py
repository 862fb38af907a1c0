"""When each job ran last, how it ended, and when it comes next."""

from __future__ import annotations

from datetime import datetime

from permafrost.documents.status import JobDocument
from permafrost.runs import DRILL, Run, RunRecords
from permafrost.schedule import Calendar


def jobs_of(calendar: Calendar, records: RunRecords, now: datetime) -> tuple[JobDocument, ...]:
    """Return the jobs of the schedule, and prune, which follows a backup."""
    return (
        _job("backup", records.newest_settled("backup"), calendar.next_of("backup", now)),
        _job("audit", records.newest_settled("backup", audited_only=True), calendar.next_of("audit", now)),
        _job("drill", records.newest_settled(DRILL), calendar.next_of("drill", now)),
        _job("prune", records.newest_settled("prune"), None),
    )


def duration_of(run: Run) -> float | None:
    """Return how long a run took, in seconds, by what it recorded, otherwise by its start and end."""
    told = run.details.get("duration_s")
    if isinstance(told, int | float) and not isinstance(told, bool):
        return float(told)
    return max(0.0, (run.ended_at - run.started_at).total_seconds()) if run.ended_at else None


def _job(name: str, last: Run | None, next_at: datetime | None) -> JobDocument:
    failed = last is not None and last.outcome == "failed"
    return JobDocument(
        name=name,
        last_at=(last.ended_at or last.started_at) if last else None,
        outcome=last.outcome if last else None,
        error=str(last.details.get("error", "unknown")) if failed and last else None,
        duration_s=duration_of(last) if last else None,
        next_at=next_at,
    )
