"""permafrost status: could the server come back right now, to when, from where, in what time; and what needs attention?

It only reads, starts no program and needs no database, so it can be asked at any time, on a disk that is read-only too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.config.outside import outside_findings
from permafrost.documents.media import MediaStatusDocument
from permafrost.documents.status import (
    ForecastDocument,
    JobDocument,
    PlaceDocument,
    ReaderDocument,
    RunningDocument,
    StatusDocument,
    VerdictDocument,
)
from permafrost.findings import Finding, FindingKind
from permafrost.ledger import LedgerEntry, read_open
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import newest
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import complete_snapshots
from permafrost.runs import BUCKET_DRILL, DRILL, PLACE, Run, RunRecords
from permafrost.schedule import Calendar, calendar_of, local_zone
from permafrost.sealed_media.store import seals_media
from permafrost.status.buckets import bucket_drill_findings, bucket_findings, bucket_places, bucket_reports
from permafrost.status.deliveries import ReceiverState, delivery_findings, receivers_of
from permafrost.status.finding_document import finding_document
from permafrost.status.forecast import (
    GROWTH,
    MeasuredRestore,
    forecast_of,
    growth_per_day,
    measured_restores,
    place_growth,
    restore_estimate_s,
    ways_back,
)
from permafrost.status.jobs import jobs_of
from permafrost.status.media import media_findings, media_status
from permafrost.status.places import server_place, vault_places
from permafrost.status.progress import read_running
from permafrost.status.promise import promise_findings
from permafrost.status.readers import readers_of, sheet_findings
from permafrost.status.schedule import late_snapshot, schedule_findings
from permafrost.status.server_findings import about_clock, about_newest, about_runs, about_sealing, last_failure
from permafrost.status.vaults import receipt_findings
from permafrost.status.verdict import Proof, server_verdict
from permafrost.status.written import WrittenStatus, read_written
from permafrost.vault.receipt_files import RECEIPTS
from permafrost.vault.report import VaultReport

_STALE = timedelta(hours=3)
_DRILLS_KNOWN = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Status:
    """What the repository, the run records and the vaults' receipts show, without the database."""

    name: str
    as_of: datetime
    zone: tzinfo
    """In which moments are shown to people; documents hold UTC."""
    verdict: VerdictDocument
    snapshot_ids: tuple[SnapshotId, ...]
    """Those that are here, in order."""
    newest: SnapshotId | None
    newest_proven: SnapshotId | None
    last_failure: str | None
    vaults: tuple[VaultReport, ...]
    findings: tuple[Finding, ...]
    """The most severe first."""
    ledger: tuple[LedgerEntry, ...]
    """What the ledger says holds: since when each finding is known."""
    places: tuple[PlaceDocument, ...]
    jobs: tuple[JobDocument, ...]
    running: RunningDocument | None
    forecast: tuple[ForecastDocument, ...]
    readers: tuple[ReaderDocument, ...]
    receivers: tuple[ReceiverState, ...]
    """Those of alerts."""
    promised: tuple[int | None, int | None]
    """The minutes that a restore may take, and those that may be lost."""
    media: MediaStatusDocument | None
    """How the server's own media compare with its database."""

    @property
    def snapshots(self) -> int:
        """How many snapshots are here."""
        return len(self.snapshot_ids)

    @property
    def newest_age_s(self) -> float | None:
        """The newest snapshot's age, None if there is none."""
        return (self.as_of - self.newest.made_at).total_seconds() if self.newest else None

    def known_since(self, finding: Finding) -> LedgerEntry | None:
        """Return the ledger's entry on a finding, None if it has none yet."""
        return next(
            (entry for entry in self.ledger if (entry.code, entry.subject) == (finding.code, finding.subject)), None
        )

    def document(self) -> StatusDocument:
        """Return it for JSON, with ages as of its moment."""
        now = self.as_of
        return StatusDocument(
            snapshots=self.snapshots,
            newest=str(self.newest) if self.newest else None,
            newest_age_s=self.newest_age_s,
            newest_proven=str(self.newest_proven) if self.newest_proven else None,
            vaults=tuple(vault.document(now) for vault in self.vaults),
            findings=tuple(finding_document(finding, self.known_since(finding)) for finding in self.findings),
            name=self.name,
            as_of=now,
            verdict=self.verdict,
            places=self.places,
            jobs=self.jobs,
            running=self.running,
            forecast=self.forecast,
            restore_minutes=self.promised[0],
            lost_minutes=self.promised[1],
            readers=self.readers,
            media=self.media,
        )


def status(configuration: Configuration, now: datetime) -> Status:
    """Return what is known. Raise `RepositoryError` if there is no repository."""
    repository = Repository.open(configuration.repository.path)
    state = configuration.state.path
    snapshots = tuple(complete_snapshots(repository.layout))
    latest = newest(snapshots, now)
    zone = local_zone()
    calendar = calendar_of(configuration.schedule, zone)
    records = RunRecords(state, is_read_only=True)
    written = read_written(state)
    paired = _paired(state)
    reports = _reports(paired, written)
    proven = records.proven()
    proof, measured, size_bytes = _proof(records)
    drilled = records.since(now - _DRILLS_KNOWN, BUCKET_DRILL)
    buckets = bucket_reports(state, configuration.buckets, repository.repository_id)
    receivers = receivers_of(state, configuration.notify)
    media = media_status(configuration, records)
    places = (
        *_places(configuration, snapshots, proven, reports, records, now),
        *bucket_places(buckets, proven, drilled),
    )
    findings = [
        *about_newest(latest, calendar, now),
        *about_clock(snapshots, records, now),
        *about_runs(records),
        *_about_sealing(configuration, records, now),
        *media_findings(media),
        *schedule_findings(calendar, records, now),
        *outside_findings(configuration),
        *sheet_findings(configuration, records, now),
        *_about_receipts(paired, written, now),
        *receipt_findings(reports, repository.layout, snapshots, records, now),
        *promise_findings(configuration.promise, places, proof, now),
        *bucket_findings(buckets, snapshots, records.removed_by_prune(), now),
        *bucket_drill_findings(buckets, drilled),
        *delivery_findings(receivers, now),
    ]
    return Status(
        name=configuration.server.name,
        as_of=now,
        zone=zone,
        verdict=server_verdict(places, findings, proof, lambda moment: is_late(calendar, moment, now), now, zone),
        snapshot_ids=snapshots,
        newest=latest,
        newest_proven=max((snapshot for snapshot in snapshots if str(snapshot) in proven), default=None),
        last_failure=last_failure(records),
        vaults=reports,
        findings=tuple(sorted(findings, key=lambda finding: -finding.severity)),
        ledger=read_open(state),
        places=places,
        jobs=jobs_of(calendar, records, now),
        running=running.document() if (running := read_running(state, now)) else None,
        forecast=forecast_of(
            measured, size_bytes, places, ways_back(reports, buckets), configuration.promise.by_hand_minutes, now
        ),
        readers=readers_of(configuration, records, now),
        receivers=receivers,
        promised=(configuration.promise.restore_minutes, configuration.promise.lost_minutes),
        media=media,
    )


def is_late(calendar: Calendar, made_at: datetime, now: datetime) -> bool:
    """Return whether the schedule asks for a newer snapshot than one made then."""
    snapshot = SnapshotId(f"{made_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-00000000")
    return late_snapshot(calendar, snapshot, now) is not None


def _proof(records: RunRecords) -> tuple[Proof, MeasuredRestore | None, int | None]:
    """Return what drills have shown and measured, and the newest snapshot's bytes (None if they were not recorded)."""
    here = records.newest(DRILL, "done")
    measured = next(iter(measured_restores([here])), None) if here else None
    backup = records.newest("backup", "done")
    size = backup.details.get("snapshot_bytes") if backup else None
    size_bytes = size if isinstance(size, int) else None
    estimate = restore_estimate_s(measured, size_bytes)
    done = max(filter(None, (here, records.newest(BUCKET_DRILL, "done"))), key=_ended, default=None)
    return Proof(done, records.newest_settled(DRILL), estimate), measured, size_bytes


def _ended(run: Run) -> datetime:
    return run.ended_at or run.started_at


def _places(
    configuration: Configuration,
    snapshots: tuple[SnapshotId, ...],
    proven: frozenset[str],
    reports: tuple[VaultReport, ...],
    records: RunRecords,
    now: datetime,
) -> tuple[PlaceDocument, ...]:
    growth = growth_per_day(records.since(now - GROWTH, "backup"), now)
    grown = place_growth(records.since(now - GROWTH, PLACE), now)
    server = server_place(configuration.server.name, configuration.repository.path, snapshots, proven, growth, now)
    return (server, *vault_places(reports, proven, grown))


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


def _about_sealing(configuration: Configuration, records: RunRecords, now: datetime) -> Iterator[Finding]:
    media, place = configuration.media, configuration.sealed_media_path
    if media is None or media.path is None or place is None:
        return
    if seals_media(place, configuration.state.path):
        yield from about_sealing(records, now)


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
