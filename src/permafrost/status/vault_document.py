"""permafrost vault status: what a vault keeps of each server, and whether that server could come back from it.

Like the server's, it only reads: the vault's records as they are, never a new file beside them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from statistics import median

from permafrost.documents.status import (
    KeptServerStatusDocument,
    PlaceDocument,
    StatusFindingDocument,
    VaultOwnStatusDocument,
    VerdictDocument,
)
from permafrost.errors import ConfigurationError, IntegrityError
from permafrost.findings import Finding, FindingKind, Severity, commands_in, kind_of
from permafrost.ledger import LedgerEntry
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import newest
from permafrost.runs import DRILL, PLACE, Run, RunRecords
from permafrost.schedule import local_zone
from permafrost.small_files import read_small
from permafrost.status.buckets import bucket_findings, bucket_reports
from permafrost.status.deliveries import ReceiverState, delivery_findings, receivers_of
from permafrost.status.finding_document import finding_document
from permafrost.status.forecast import GROWTH, place_growth
from permafrost.status.places import media_document, room_days
from permafrost.status.server_findings import about_drill
from permafrost.status.verdict import Proof, vault_verdict
from permafrost.vault.arrivals import DROPPED, KEPT, Arrival, Records
from permafrost.vault.receipt import MAXIMUM_BYTES, Receipt, parse_signed
from permafrost.vault.receipt_files import RECEIPT_FILE, RECEIPTS
from permafrost.vault.settings import Vault, VaultServer, open_vault

STATE = "state"
"""The folder, in the vault's, in which drills made there are recorded."""
_LONGEST_LAG = timedelta(hours=26)
_SHORTEST_LAG = timedelta(hours=2)
_LATEST = 10


@dataclass(frozen=True, slots=True)
class KeptServer:
    """What a vault keeps of one server; `arrivals` are those that were ever taken into its history."""

    name: str
    verdict: VerdictDocument
    place: PlaceDocument
    arrivals: tuple[Arrival, ...]
    proven: frozenset[str]
    drills: tuple[Run, ...]
    findings: tuple[LedgerEntry, ...]


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """What a vault keeps, and what needs attention there."""

    name: str
    as_of: datetime
    zone: tzinfo
    servers: tuple[KeptServer, ...]
    receivers: tuple[ReceiverState, ...] = ()
    """Those of alerts."""
    own_findings: tuple[Finding, ...] = ()
    """About receivers of alerts that cannot be reached, and buckets."""

    @property
    def findings(self) -> tuple[StatusFindingDocument, ...]:
        """What needs attention, the most severe first, then what has been known for longest."""
        found = [
            (-entry.severity, entry.first_at, _finding(server.name, entry))
            for server in self.servers
            for entry in server.findings
        ]
        found += [(-one.severity, self.as_of, finding_document(one, None)) for one in self.own_findings]
        return tuple(document for _, _, document in sorted(found, key=lambda ranked: ranked[:2]))

    def document(self) -> VaultOwnStatusDocument:
        """Return it for JSON."""
        return VaultOwnStatusDocument(
            name=self.name,
            as_of=self.as_of,
            servers=tuple(KeptServerStatusDocument(server.verdict, server.place) for server in self.servers),
            findings=self.findings,
        )


def vault_status(root: Path, now: datetime) -> VaultStatus:
    """Return what the vault in `root` keeps. Raise `ConfigurationError` if it cannot be read."""
    vault = open_vault(root)
    zone = local_zone()
    records = RunRecords(root / STATE, is_read_only=True)
    drills = records.since(now - timedelta(days=400), DRILL)
    servers = _with_growth(
        [_kept(vault, server, drills, now, zone) for server in vault.settings.servers],
        place_growth(records.since(now - GROWTH, PLACE), now),
    )
    receivers = receivers_of(root / STATE, vault.settings.notify)
    own = (*delivery_findings(receivers, now), *_about_buckets(vault, servers, now))
    return VaultStatus(vault.settings.name, now, zone, servers, receivers, own)


def _with_growth(servers: Sequence[KeptServer], grown: Mapping[str, float]) -> tuple[KeptServer, ...]:
    """Return the servers with what their copies grow by, and how long the disk lasts, which all of them fill."""
    total = sum(grown.get(server.name, 0.0) for server in servers)

    def place(server: KeptServer) -> PlaceDocument:
        growth, free = grown.get(server.name), server.place.free_bytes
        days = room_days(free, total) if growth is not None else None
        return replace(server.place, growth_bytes_per_day=growth, room_days=days)

    return tuple(replace(server, place=place(server)) for server in servers)


def dropped_snapshots(vault: Vault, server: VaultServer) -> frozenset[str]:
    """Return the snapshots of a server that the vault's own rules have dropped from its history."""
    try:
        arrivals = _read(vault.records(server)).arrivals
    except sqlite3.DatabaseError:
        return frozenset()
    return frozenset(arrival.snapshot for arrival in arrivals if arrival.state == DROPPED)


def _about_buckets(vault: Vault, servers: Sequence[KeptServer], now: datetime) -> Iterator[Finding]:
    """Yield what is wrong with the vault's own buckets, about each server's history there."""
    for kept, server in zip(servers, vault.settings.servers, strict=True):
        reports = bucket_reports(vault.root / STATE, vault.settings.buckets, server.repository_id)
        held = [SnapshotId(arrival.snapshot) for arrival in kept.arrivals if arrival.state == KEPT]
        gone = frozenset(arrival.snapshot for arrival in kept.arrivals if arrival.state == DROPPED)
        for finding in bucket_findings(reports, held, gone, now):
            yield replace(
                finding, subject=f"{server.name}: {finding.subject}", message=f"{server.name}: {finding.message}"
            )


def _kept(vault: Vault, server: VaultServer, drills: Sequence[Run], now: datetime, zone: tzinfo) -> KeptServer:
    try:
        known = _read(vault.records(server))
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(
            f"the vault's records {vault.records(server)} cannot be read: {error}",
            hint="permafrost vault run sets damaged records aside, and makes new ones from the history",
        ) from error
    kept = [arrival for arrival in known.arrivals if arrival.state == KEPT]
    names = {arrival.snapshot for arrival in known.arrivals}
    own = tuple(run for run in drills if run.snapshot in names)
    proven = frozenset(str(run.snapshot) for run in own if run.outcome == "done")
    place = _place(vault, server, kept, known, proven, now)
    proof = Proof(
        next((run for run in reversed(own) if run.outcome == "done"), None),
        next((run for run in reversed(own) if run.outcome != "unfinished"), None),
    )
    limit = lag_limit(sorted(SnapshotId(arrival.snapshot).made_at for arrival in kept))
    verdict = vault_verdict(place, known.bad_objects, proof, lambda moment: now - moment > limit, now, zone)
    findings = (*known.findings, *_about_drill(proof.last))
    return KeptServer(server.name, verdict, place, known.arrivals, proven, own, findings)


def _about_drill(last: Run | None) -> Iterator[LedgerEntry]:
    """Yield what the last drill made on this vault has shown; its records hold no findings about drills."""
    if last is None:
        return
    ended = last.ended_at or last.started_at
    for finding in about_drill(last, " here"):
        yield LedgerEntry(finding.code, finding.subject, finding.severity, finding.message, ended, ended, None, 1)


def lag_limit(made_at: Sequence[datetime]) -> timedelta:
    """Return how old the newest snapshot may be: three times the usual interval, as the server's schedule is unknown.

    `made_at` are the moments of those that are kept, in order. Between two hours and 26.
    """
    latest = made_at[-_LATEST:]
    spans = [(later - earlier).total_seconds() for earlier, later in pairwise(latest)]
    if not spans:
        return _LONGEST_LAG
    return min(max(timedelta(seconds=3 * median(spans)), _SHORTEST_LAG), 3 * _LONGEST_LAG)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the records of one server say."""

    arrivals: tuple[Arrival, ...] = ()
    objects: int = 0
    size_bytes: int = 0
    all_read_since: datetime | None = None
    bad_objects: int = 0
    findings: tuple[LedgerEntry, ...] = ()


def _read(file: Path) -> _Known:
    records = Records.for_reading(file)
    if records is None:
        return _Known()
    with closing(records):
        objects, size, oldest = records.size()
        arrivals = tuple(arrival for arrival in records.arrivals(KEPT, DROPPED) if arrival.arrived_at is not None)
        return _Known(arrivals, objects, size, oldest, len(records.bad_objects()), records.ledger.open())


def _place(
    vault: Vault,
    server: VaultServer,
    kept: Sequence[Arrival],
    known: _Known,
    proven: frozenset[str],
    now: datetime,
) -> PlaceDocument:
    ids = [SnapshotId(arrival.snapshot) for arrival in kept]
    latest = newest(ids, now)
    tried = max((snapshot for snapshot in ids if str(snapshot) in proven), default=None)
    disk = os.statvfs(vault.root)
    receipt = _last_receipt(vault.root / server.name / RECEIPTS / RECEIPT_FILE)
    return PlaceDocument(
        name=server.name,
        kind="vault",
        restorable_to=latest.made_at if latest else None,
        keeps_back_to=min((snapshot.made_at for snapshot in ids), default=None),
        snapshots=len(ids),
        proven_to=tried.made_at if tried else None,
        all_read_since=known.all_read_since,
        media_files=receipt.media_files if receipt else None,
        media=media_document(receipt.media) if receipt else None,
        size_bytes=known.size_bytes,
        free_bytes=disk.f_bavail * disk.f_frsize,
        disk_bytes=disk.f_blocks * disk.f_frsize,
        growth_bytes_per_day=None,
        room_days=None,
        heard_at=max((arrival.arrived_by_clock for arrival in kept if arrival.arrived_by_clock), default=None),
    )


def _last_receipt(file: Path) -> Receipt | None:
    """Return the last receipt that this vault has written, None if it has written none."""
    with suppress(OSError, IntegrityError):
        return parse_signed(read_small(file, MAXIMUM_BYTES)).receipt()
    return None


def _finding(server: str, entry: LedgerEntry) -> StatusFindingDocument:
    kind = kind_of(entry.code) or FindingKind.VAULT_SAYS
    return StatusFindingDocument(
        kind=entry.code,
        subject=f"{server}: {entry.subject}",
        message=f"{server}: {entry.message}",
        severity=Severity(entry.severity).word,
        remedy=kind.remedy,
        commands=commands_in(kind.remedy),
        first_seen=entry.first_at,
        last_seen=entry.last_at,
    )
