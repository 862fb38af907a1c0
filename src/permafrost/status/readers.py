"""Who can open the snapshots: the sheet, and the server itself. Names and times, never a key.

Of the sheet also whether it still lies on the server, and whether a human has shown lately that it opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from permafrost.amounts import span_text
from permafrost.config.models import Configuration
from permafrost.documents.status import ReaderDocument
from permafrost.findings import Finding, FindingKind
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


def sheet_findings(configuration: Configuration, records: RunRecords, now: datetime) -> Iterator[Finding]:
    """Yield each sheet that lies where init and rekey write it, and the reminder to prove the printed one."""
    sheet = configuration.signing.sheet_file
    for file in sorted(sheet.parent.glob(f"{sheet.stem}*{sheet.suffix}")):
        yield Finding(FindingKind.RECOVERY_SHEET, str(file), f"the recovery sheet is still here: {file}")
    yield from _unproven(records, configuration.encryption.prove_sheet_days, now)


def _unproven(records: RunRecords, prove_sheet_days: int, now: datetime) -> Iterator[Finding]:
    """Yield that nobody has shown it for so many days, since the first run if never; nothing if they are 0."""
    shown = records.newest(SHEET, "done")
    since = shown.started_at if shown is not None else records.began()
    if prove_sheet_days and since is not None and now - since > timedelta(days=prove_sheet_days):
        days = (now - since).days
        yield Finding(
            FindingKind.SHEET_UNPROVEN,
            "sheet",
            f"for {days} days nobody has shown that the recovery sheet opens the backups: permafrost sheet prove",
        )
