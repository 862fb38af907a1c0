"""permafrost vault history: what a vault keeps of each server."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.vault_copies import ArrivalDocument, ServerHistoryDocument
from permafrost.ledger import LedgerEntry
from permafrost.vault.arrivals import KEPT, Arrival, Records
from permafrost.vault.history_folder import free_bytes
from permafrost.vault.settings import Vault


@dataclass(frozen=True, slots=True)
class ServerHistory:
    """What a vault keeps of one server."""

    server: str
    path: str
    snapshots: tuple[Arrival, ...]
    objects: int
    size_bytes: int
    free_bytes: int
    oldest_verified_at: datetime | None
    findings: tuple[LedgerEntry, ...]

    def document(self) -> ServerHistoryDocument:
        """Return it for JSON."""
        return ServerHistoryDocument(
            server=self.server,
            path=self.path,
            snapshots=tuple(
                ArrivalDocument(kept.snapshot, kept.arrived_by_clock, kept.objects, kept.size_bytes)
                for kept in self.snapshots
            ),
            objects=self.objects,
            size_bytes=self.size_bytes,
            free_bytes=self.free_bytes,
            all_verified_since=self.oldest_verified_at,
            findings=tuple(finding.document() for finding in self.findings),
        )


def history_of(vault: Vault, name: str | None = None) -> tuple[ServerHistory, ...]:
    """Return what the vault keeps of each server, or of the one named; raise `UsageError` if it is not kept here."""
    servers = vault.settings.servers if name is None else (vault.server(name),)
    found = []
    for server in servers:
        with closing(Records(vault.records(server))) as records:
            count, size, oldest = records.size()
            snapshots = tuple(
                sorted(records.arrivals(KEPT), key=lambda arrival: (str(arrival.arrived_at), arrival.snapshot))
            )
            findings = records.ledger.open()
        free, _ = free_bytes(vault.root)
        found.append(
            ServerHistory(server.name, str(vault.history(server)), snapshots, count, size, free, oldest, findings)
        )
    return tuple(found)
