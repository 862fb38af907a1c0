"""permafrost vault verify: all that a vault keeps is read again now, and not only today's slice."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from permafrost.documents.vault_copies import VerifiedServerDocument
from permafrost.errors import RepositoryError
from permafrost.events import Note, Reporter
from permafrost.findings import Finding, FindingKind
from permafrost.operations.verify import VerifyResult, verify
from permafrost.repository.layout import Layout
from permafrost.repository.reading import READERS
from permafrost.vault.arrivals import KeptObject, Records
from permafrost.vault.settings import Vault, VaultServer


@dataclass(frozen=True, slots=True)
class VerifiedServer:
    """What was read of one server's history."""

    server: str
    path: str
    result: VerifyResult

    def document(self) -> VerifiedServerDocument:
        """Return it for JSON."""
        return VerifiedServerDocument(
            server=self.server,
            path=self.path,
            snapshots=self.result.snapshots,
            objects=self.result.objects,
            bytes=self.result.size_bytes,
            duration_s=self.result.duration_s,
            findings=tuple(finding.document() for finding in self.result.findings),
        )


def verify_vault(vault: Vault, name: str | None, report: Reporter, jobs: int = READERS) -> tuple[VerifiedServer, ...]:
    """Read every object of every server's history (or of the one named), `jobs` at a time, and record how each is.

    A running `vault run` then asks for the damaged ones again, and tells in its receipts. Raise `RepositoryError` if
    there is no history yet.
    """
    servers = vault.settings.servers if name is None else (vault.server(name),)
    verified = []
    for server in servers:
        report(Note(f"{server.name}: reading everything kept"))
        path = vault.history(server)
        if not Layout(path).facts.exists():
            raise RepositoryError(
                f"nothing of {server.name} is kept yet",
                hint="check that permafrost vault run is running: it keeps what has arrived completely",
            )
        result = verify(
            path,
            server.fingerprint,
            patience=timedelta(0),
            report=report,
            now=datetime.now(UTC) + timedelta(hours=1),
            jobs=jobs,
        )
        _record(vault, server, result)
        verified.append(VerifiedServer(server.name, str(path), result))
    return tuple(verified)


def _record(vault: Vault, server: VaultServer, result: VerifyResult) -> None:
    bad = {finding.subject for finding in result.findings if finding.kind is FindingKind.CORRUPT_OBJECT}
    with closing(Records(vault.records(server))) as records:
        own = records.own_time()
        if own is None:
            return
        known = (records.object(name) for name in list(records.object_names()))
        read: list[KeptObject] = [
            replace(kept, verified_at=own.now, is_good=kept.name not in bad) for kept in known if kept
        ]
        with records.together():
            for damaged in records.bad_objects():
                if damaged.name not in bad:
                    records.ledger.end(FindingKind.ROT.code, damaged.name, own.now)
            records.record_objects(read)
            for name in bad:
                message = f"the object {name} in the history is damaged"
                records.ledger.saw(Finding(FindingKind.ROT, name, message), own.now)
