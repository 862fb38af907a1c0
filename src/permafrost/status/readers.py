"""Who can open the snapshots: the sheet, and the server itself. Names and times, never a key."""

from __future__ import annotations

from datetime import datetime

from permafrost.amounts import span_text
from permafrost.config.models import Configuration
from permafrost.documents.status import ReaderDocument
from permafrost.runs import SHEET, RunRecords


def readers_of(configuration: Configuration, records: RunRecords, now: datetime) -> tuple[ReaderDocument, ...]:
    """Return what can open the snapshots, as the configuration and the records say."""
    encryption = configuration.encryption
    proof = records.newest(SHEET, "done")
    if proof is not None:
        age = span_text((now - (proof.ended_at or proof.started_at)).total_seconds())
        proven, is_good = f"proven {age} ago: it opened a snapshot", True
    else:
        proven, is_good = "not proven: nobody has shown that it opens a snapshot", False
    if encryption.recipients:
        keys = tuple(
            ReaderDocument(f"secret key of {fingerprint[-16:]}", "wherever you keep it; not on this server", True)
            for fingerprint in encryption.recipients
        )
        server = ReaderDocument(configuration.server.name, "this server cannot read its own backups", True)
        return (*keys, ReaderDocument("recovery sheet", proven, is_good), server)
    server = ReaderDocument(configuration.server.name, "this server: it holds the passphrase in a file", True)
    return (ReaderDocument("recovery sheet", proven, is_good), server)
