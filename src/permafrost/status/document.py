"""permafrost status: what is there, how old it is, and what needs attention.

It only reads, starts no program and needs no database, so it can be asked at any time, on a disk that is read-only too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.config.outside import outside_findings
from permafrost.documents.status import StatusDocument, StatusFindingDocument
from permafrost.findings import Finding, FindingKind
from permafrost.ledger import LedgerEntry, read_open
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import ahead, is_ahead, newest
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import complete_snapshots
from permafrost.runs import DRILL, RunRecords
from permafrost.schedule import Calendar, calendar_of, local_zone
from permafrost.status.schedule import late_snapshot, schedule_findings
from permafrost.status.sheet import sheet_findings
from permafrost.status.vaults import receipt_findings
from permafrost.status.written import WrittenStatus, read_written
from permafrost.vault.receipt_files import RECEIPTS
from permafrost.vault.report import VaultReport

_STALE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Status:
    """What the repository, the run records and the vaults' receipts show, without the database."""

    snapshots: int
    newest: SnapshotId | None
    newest_age_s: float | None
    newest_proven: SnapshotId | None
    last_failure: str | None
    vaults: tuple[VaultReport, ...]
    findings: tuple[Finding, ...]
    """The most severe first."""
    ledger: tuple[LedgerEntry, ...]
    """What the ledger says holds: since when each finding is known."""

    def known_since(self, finding: Finding) -> LedgerEntry | None:
        """Return the ledger's entry on a finding, None if it has none yet."""
        return next(
            (entry for entry in self.ledger if (entry.code, entry.subject) == (finding.code, finding.subject)), None
        )

    def document(self, now: datetime) -> StatusDocument:
        """Return it for JSON, with ages as of `now`."""
        return StatusDocument(
            snapshots=self.snapshots,
            newest=str(self.newest) if self.newest else None,
            newest_age_s=self.newest_age_s,
            newest_proven=str(self.newest_proven) if self.newest_proven else None,
            vaults=tuple(vault.document(now) for vault in self.vaults),
            findings=tuple(self._document(finding) for finding in self.findings),
        )

    def _document(self, finding: Finding) -> StatusFindingDocument:
        known = self.known_since(finding)
        return StatusFindingDocument(
            **asdict(finding.document()),
            first_seen=known.first_at if known else None,
            last_seen=known.last_at if known else None,
        )


def status(configuration: Configuration, now: datetime) -> Status:
    """Return what is there. Raise `RepositoryError` if there is no repository."""
    repository = Repository.open(configuration.repository.path)
    state = configuration.state.path
    snapshots = tuple(complete_snapshots(repository.layout))
    latest = newest(snapshots, now)
    calendar = calendar_of(configuration.schedule, local_zone())
    records = RunRecords(state, is_read_only=True)
    written = read_written(state)
    paired = _paired(state)
    reports = _reports(paired, written)
    findings = [
        *_about_newest(latest, calendar, now),
        *_about_clock(snapshots, records, now),
        *_about_runs(records),
        *schedule_findings(calendar, records, now),
        *outside_findings(configuration),
        *sheet_findings(records, configuration.encryption.prove_sheet_days, now),
        *_about_receipts(paired, written, now),
        *receipt_findings(reports, repository.layout, snapshots, records, now),
    ]
    proven = records.snapshots(DRILL, "done")
    return Status(
        snapshots=len(snapshots),
        newest=latest,
        newest_age_s=(now - latest.made_at).total_seconds() if latest else None,
        newest_proven=max((snapshot for snapshot in snapshots if str(snapshot) in proven), default=None),
        last_failure=_last_failure(records),
        vaults=reports,
        findings=tuple(sorted(findings, key=lambda finding: -finding.severity)),
        ledger=read_open(state),
    )


def _about_newest(latest: SnapshotId | None, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    if latest is None:
        yield Finding(FindingKind.NO_SNAPSHOT, "repository", "there is no snapshot yet: permafrost backup")
    elif not is_ahead(latest, now) and (late := late_snapshot(calendar, latest, now)) is not None:
        yield late


def _about_clock(snapshots: Sequence[SnapshotId], records: RunRecords, now: datetime) -> Iterator[Finding]:
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


def _last_failure(records: RunRecords) -> str | None:
    last = records.newest_settled("backup")
    failed = last is not None and last.outcome == "failed"
    return str(last.details.get("error", "unknown")) if last is not None and failed else None


def _about_runs(records: RunRecords) -> Iterator[Finding]:
    drilled = records.newest_settled(DRILL)
    if drilled is not None and drilled.outcome == "failed":
        message = f"the last drill failed: {drilled.details.get('error', 'unknown')}"
        yield Finding(FindingKind.DRILL_FAILED, str(drilled.snapshot or "drill"), message)
    failure = _last_failure(records)
    if failure is not None:
        yield Finding(FindingKind.BACKUP_FAILED, "backup", f"the last backup failed: {failure}")


def _paired(state: Path) -> dict[str, datetime]:
    """Return the vaults that have a folder for receipts, and when that was made or last changed."""
    try:
        folders = sorted(folder for folder in (state / RECEIPTS).iterdir() if folder.is_dir())
        return {folder.name: datetime.fromtimestamp(folder.stat().st_mtime, UTC) for folder in folders}
    except OSError:
        return {}


def _reports(paired: Mapping[str, datetime], written: WrittenStatus | None) -> tuple[VaultReport, ...]:
    """Return what is known of each paired vault; of one that nobody has looked at yet, its name."""
    known = {report.name: report for report in written.vaults} if written is not None else {}
    return tuple(known.get(name) or VaultReport(name=name, paired_at=since) for name, since in paired.items())


def _about_receipts(paired: Mapping[str, datetime], written: WrittenStatus | None, now: datetime) -> Iterator[Finding]:
    """Yield the finding that receipts come and nothing looks at them."""
    if not paired:
        return
    age = now - written.written_at if written is not None else None
    if age is None:
        message = f"nothing has checked the receipts of {', '.join(paired)} yet: is permafrost run running?"
        yield Finding(FindingKind.STATUS_STALE, "receipts", message)
    elif age > _STALE:
        hours = age.total_seconds() / 3600
        message = f"nothing has checked the vaults' receipts for {hours:.0f} hours: is permafrost run running?"
        yield Finding(FindingKind.STATUS_STALE, "receipts", message)
