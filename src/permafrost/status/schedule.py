"""What the schedule and the run records show: runs that are overdue, and runs that were missed."""

from __future__ import annotations

from datetime import datetime, timedelta

from permafrost.findings import Finding, FindingKind
from permafrost.repository.layout import SnapshotId
from permafrost.runs import DAMAGED, MISSED, Run, RunRecords
from permafrost.schedule import Calendar, JobName

MISSED_STAYS = timedelta(days=1)
DAMAGE_STAYS = timedelta(days=7)
_OVERDUE: dict[JobName, FindingKind] = {"audit": FindingKind.AUDIT_OVERDUE, "drill": FindingKind.DRILL_OVERDUE}
_OFF_LIMIT = timedelta(hours=26)


def late_snapshot(calendar: Calendar, newest: SnapshotId, now: datetime) -> Finding | None:
    """Return the finding that there should be a newer snapshot, by the schedule, or by 26 hours where it is off."""
    if "backup" not in calendar.rhythms and "audit" not in calendar.rhythms:
        if now - newest.made_at <= _OFF_LIMIT:
            return None
        message = "the newest snapshot is older than 26 hours: does cron or a systemd timer start permafrost backup?"
        return Finding(FindingKind.OLD_SNAPSHOT, str(newest), message)
    job: JobName = "backup" if "backup" in calendar.rhythms else "audit"
    since = calendar.overdue_since(job, newest.made_at, now)
    if since is None:
        return None
    count = calendar.rhythms[job].count(newest.made_at, now)
    message = f"{count} backups are overdue, the first since {since:%Y-%m-%d %H:%M} UTC: is permafrost run still "
    "running?"
    return Finding(FindingKind.OLD_SNAPSHOT, str(newest), message)


def schedule_findings(calendar: Calendar, records: RunRecords, now: datetime) -> list[Finding]:
    """Return findings on audits and drills that are overdue or failed, and on runs missed within the last day."""
    findings = []
    audited = records.newest_settled("backup", audited_only=True)
    if audited is not None and audited.outcome == "failed":
        error = audited.details.get("error", "unknown")
        findings.append(Finding(FindingKind.AUDIT_FAILED, "audit", f"the last audit failed: {error}"))
    begun = records.oldest_start()
    done: dict[JobName, Run | None] = {
        "audit": records.newest_settled("backup", audited_only=True, done_only=True),
        "drill": records.newest("drill", "done"),
    }
    for job, last in done.items():
        reference = (last.ended_at or last.started_at) if last else begun
        since = calendar.overdue_since(job, reference, now) if reference else None
        if since is not None:
            message = f"the {job} that was due on {since:%Y-%m-%d %H:%M} UTC has not been done"
            findings.append(Finding(_OVERDUE[job], job, message))
    missed = records.newest(MISSED)
    if missed is not None and timedelta(0) <= now - missed.started_at < MISSED_STAYS:
        findings.append(
            Finding(FindingKind.MISSED_RUNS, str(missed.details.get("job")), str(missed.details.get("message")))
        )
    damaged = records.newest(DAMAGED)
    if damaged is not None and timedelta(0) <= now - damaged.started_at < DAMAGE_STAYS:
        what = str(damaged.details.get("what"))
        findings.append(Finding(FindingKind.STATE_DAMAGED, what, str(damaged.details.get("message"))))
    return findings
