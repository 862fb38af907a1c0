"""What a service saw, as a look: the alerts that hold, and a summary for digests."""

from __future__ import annotations

from datetime import datetime, tzinfo

from permafrost.amounts import list_text, moment_text
from permafrost.documents.status import PlaceDocument, StatusFindingDocument
from permafrost.findings import Finding, FindingKind
from permafrost.notify.alert import Alert, Look, severity_named
from permafrost.status.document import Status
from permafrost.status.vault_document import VaultStatus


def look_at_server(status: Status) -> Look:
    """Return what a server's status shows."""
    places = tuple(_place_line(place, status.as_of, status.zone) for place in status.places)
    coming = [f"{job.name} {moment_text(job.next_at, status.as_of, status.zone)}" for job in status.jobs if job.next_at]
    jobs = (f"Next: {list_text(coming)}.",) if coming else ()
    alerts = tuple(map(Alert.of, status.findings))
    return Look(status.as_of, alerts, (status.verdict.text, *places, *jobs), zone=status.zone)


def look_at_vault(status: VaultStatus) -> Look:
    """Return what a vault's status shows."""
    lines = [
        line
        for server in status.servers
        for line in (f"{server.name}: {server.verdict.text}", _place_line(server.place, status.as_of, status.zone))
    ]
    alerts = tuple(map(_alert_of, status.findings))
    return Look(status.as_of, alerts, tuple(lines) or ("No server is kept here yet.",), zone=status.zone)


def look_at_nothing(problem: str, now: datetime, zone: tzinfo) -> Look:
    """Return the look of a service that could not read the status: an alarm, and what held before may still hold."""
    alert = Alert.of(Finding(FindingKind.STATUS_UNKNOWN, "status", problem))
    return Look(now, (alert,), (f"Nothing is known: {problem}",), is_whole=False, zone=zone)


def _alert_of(found: StatusFindingDocument) -> Alert:
    return Alert(found.kind, found.subject, severity_named(found.severity), found.message, found.remedy)


def _place_line(place: PlaceDocument, now: datetime, zone: tzinfo) -> str:
    if place.restorable_to is None:
        return f"{place.name}: no snapshot yet."
    snapshots = f"{place.snapshots} snapshot{'' if place.snapshots == 1 else 's'}"
    return f"{place.name}: {snapshots}, the newest {moment_text(place.restorable_to, now, zone)}."
