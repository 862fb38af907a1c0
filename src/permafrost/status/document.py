"""permafrost status: what is there, how old it is, and what needs a human."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from permafrost.config.models import Configuration
from permafrost.findings import Finding
from permafrost.repository.layout import SnapshotId
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import list_snapshots
from permafrost.runs import DRILL, RunRecords
from permafrost.schedule import calendar_of, local_zone
from permafrost.status.schedule import late_snapshot, schedule_findings
from permafrost.status.vaults import VaultReport, read_receipts, receipt_findings
from permafrost.vault.receipt import RECEIPTS


@dataclass(frozen=True, slots=True)
class Status:
    """What can be told from the repository and the run records, without touching the database."""

    snapshots: int
    newest: SnapshotId | None
    newest_age_s: float | None
    newest_proven: SnapshotId | None
    last_failure: str | None
    vaults: tuple[VaultReport, ...]
    findings: tuple[Finding, ...]


def status(configuration: Configuration, now: datetime) -> Status:
    """Return what is there. Raise `RepositoryError` if there is no repository."""
    repository = Repository.open(configuration.repository.path)
    there = list_snapshots(repository.layout)
    newest = there[-1] if there else None
    calendar = calendar_of(configuration.schedule, local_zone())
    findings = []
    if newest is None:
        findings.append(Finding("no-snapshot", "repository", "there is no snapshot yet: permafrost backup"))
    elif newest.made_at - now > timedelta(minutes=5):
        findings.append(
            Finding("clock", str(newest), "the newest snapshot lies in the future: the clock is, or was, wrong")
        )
    else:
        late = late_snapshot(calendar, newest, now)
        findings += [late] if late else []
    records = RunRecords(configuration.state.path)
    proven = records.snapshots(DRILL, "done")
    drilled = records.newest(DRILL)
    if drilled is not None and drilled.outcome == "failed":
        findings.append(
            Finding(
                "drill-failed",
                str(drilled.snapshot or "drill"),
                f"the last drill failed: {drilled.details.get('error', 'unknown')}",
            )
        )
    last = records.newest("backup")
    failure = None
    if last is not None and last.outcome == "failed":
        failure = str(last.details.get("error", "unknown"))
        findings.append(Finding("backup-failed", "backup", f"the last backup failed: {failure}"))
    findings += schedule_findings(calendar, records, now)
    vaults = read_receipts(configuration.state.path / RECEIPTS, repository.repository_id, now)
    findings += receipt_findings(vaults, repository.layout, tuple(there), records, now)
    return Status(
        snapshots=len(there),
        newest=newest,
        newest_age_s=(now - newest.made_at).total_seconds() if newest else None,
        newest_proven=max((one for one in there if str(one) in proven), default=None),
        last_failure=failure,
        vaults=vaults,
        findings=tuple(findings),
    )
