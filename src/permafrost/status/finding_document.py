"""A finding as the status has it: with the commands that help, and since when it is known."""

from __future__ import annotations

from dataclasses import asdict

from permafrost.documents.status import StatusFindingDocument
from permafrost.findings import Finding
from permafrost.ledger import LedgerEntry


def finding_document(finding: Finding, known: LedgerEntry | None) -> StatusFindingDocument:
    """Return the finding for JSON, with since when it is `known`."""
    return StatusFindingDocument(
        **asdict(finding.document()),
        commands=finding.commands,
        first_seen=known.first_at if known else None,
        last_seen=known.last_at if known else None,
    )
