"""Everything that a page shows, of a server or of a vault: one value, so that both pages are one template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Literal

from permafrost.config.models import Configuration
from permafrost.documents.media import MediaStatusDocument
from permafrost.documents.status import (
    ForecastDocument,
    JobDocument,
    PlaceDocument,
    ReaderDocument,
    RunningDocument,
    StatusDocument,
    StatusFindingDocument,
    VaultOwnStatusDocument,
    VerdictDocument,
)
from permafrost.repository.layout import SnapshotId
from permafrost.runs import DRILL, Run, RunRecords
from permafrost.schedule import calendar_of
from permafrost.status.deliveries import ReceiverState
from permafrost.status.document import Status, status
from permafrost.status.forecast import MeasuredRestore, measured_restores
from permafrost.status.hours import DAYS, Hours, Made, hours_of
from permafrost.status.vault_document import vault_status
from permafrost.vault.arrivals import KEPT

_DRILLS_SHOWN = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Drilled:
    """A drill: what it measured, None if it failed; and the error then."""

    at: datetime
    measured: MeasuredRestore | None
    error: str


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one server: the verdict, its hours, and its name where there may be several."""

    name: str
    verdict: VerdictDocument
    hours: Hours


@dataclass(frozen=True, slots=True)
class Overview:
    """What a page shows. Moments are in UTC, and are shown in `zone`."""

    kind: Literal["server", "vault"]
    name: str
    as_of: datetime
    zone: tzinfo
    about: tuple[About, ...]
    findings: tuple[StatusFindingDocument, ...]
    places: tuple[PlaceDocument, ...]
    jobs: tuple[JobDocument, ...]
    running: RunningDocument | None
    forecast: tuple[ForecastDocument, ...]
    drills: tuple[Drilled, ...]
    """In the order of time."""
    bytes_by_day: tuple[tuple[date, int], ...]
    """What backups stored, the oldest day first; empty where it is not known."""
    readers: tuple[ReaderDocument, ...]
    receivers: tuple[ReceiverState, ...]
    """Those of alerts."""
    restore_minutes: int | None
    lost_minutes: int | None
    media: MediaStatusDocument | None
    """How a server's own media compare with its database."""
    document: StatusDocument | VaultOwnStatusDocument
    """The same as `--json` prints it."""


def server_overview(configuration: Configuration, now: datetime) -> Overview:
    """Return what a server's page shows. Raise `RepositoryError` if there is no repository."""
    found = status(configuration, now)
    document = found.document()
    records = RunRecords(configuration.state.path, is_read_only=True)
    since = now - timedelta(days=DAYS + 1)
    backups = [run for run in records.since(since, "backup") if run.outcome == "done"]
    rhythm = calendar_of(configuration.schedule, found.zone).rhythms.get("backup")
    hours = hours_of(_seen(found, backups, records, since), rhythm, records.began(), now, found.zone)
    return Overview(
        kind="server",
        name=found.name,
        as_of=now,
        zone=found.zone,
        about=(About(found.name, found.verdict, hours),),
        findings=document.findings,
        places=found.places,
        jobs=found.jobs,
        running=found.running,
        forecast=found.forecast,
        drills=drills_of(records.since(now - _DRILLS_SHOWN, DRILL)),
        bytes_by_day=_bytes_by_day(backups, now, found.zone),
        readers=found.readers,
        receivers=found.receivers,
        restore_minutes=document.restore_minutes,
        lost_minutes=document.lost_minutes,
        media=found.media,
        document=document,
    )


def vault_overview(root: Path, now: datetime) -> Overview:
    """Return what a vault's page shows. Raise `ConfigurationError` if there is no vault in `root`."""
    found = vault_status(root, now)
    about = []
    for server in found.servers:
        kept = [SnapshotId(arrival.snapshot) for arrival in server.arrivals if arrival.state == KEPT]
        seen = Made(
            made=[SnapshotId(arrival.snapshot).made_at for arrival in server.arrivals],
            kept=[snapshot.made_at for snapshot in kept],
            proven=[snapshot.made_at for snapshot in kept if str(snapshot) in server.proven],
        )
        about.append(About(server.name, server.verdict, hours_of(seen, None, None, now, found.zone)))
    return Overview(
        kind="vault",
        name=found.name,
        as_of=now,
        zone=found.zone,
        about=tuple(about),
        findings=found.findings,
        places=tuple(server.place for server in found.servers),
        jobs=(),
        running=None,
        forecast=(),
        drills=drills_of([run for server in found.servers for run in server.drills]),
        bytes_by_day=(),
        readers=(
            ReaderDocument(found.name, "this vault holds no key, and can read nothing that it keeps", is_good=True),
        ),
        receivers=found.receivers,
        restore_minutes=None,
        lost_minutes=None,
        media=None,
        document=found.document(),
    )


def drills_of(runs: Sequence[Run]) -> tuple[Drilled, ...]:
    """Return the drills that came to an end."""
    return tuple(
        Drilled(
            at=run.ended_at,
            measured=next(iter(measured_restores([run])), None),
            error=str(run.details.get("error", "")) if run.outcome == "failed" else "",
        )
        for run in runs
        if run.ended_at is not None
    )


def _seen(found: Status, backups: Sequence[Run], records: RunRecords, since: datetime) -> Made:
    proven = records.proven()
    recent = [snapshot_id for snapshot_id in found.snapshot_ids if snapshot_id.made_at >= since]
    return Made(
        made=[run.started_at for run in backups],
        kept=[snapshot.made_at for snapshot in recent],
        proven=[snapshot.made_at for snapshot in recent if str(snapshot) in proven],
    )


def _bytes_by_day(backups: Sequence[Run], now: datetime, zone: tzinfo) -> tuple[tuple[date, int], ...]:
    today = now.astimezone(zone).date()
    days: Mapping[date, list[int]] = {today - timedelta(days=number): [] for number in range(DAYS - 1, -1, -1)}
    for run in backups:
        day, size = run.started_at.astimezone(zone).date(), run.details.get("bytes_new")
        if day in days and isinstance(size, int) and not isinstance(size, bool):
            days[day].append(max(0, size))
    return tuple((day, sum(sizes)) for day, sizes in days.items()) if backups else ()
