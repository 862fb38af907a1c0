"""The recovery sheet: whether it still lies on the server, and whether a human has shown lately that it opens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from permafrost.config.models import Configuration
from permafrost.findings import Finding, FindingKind
from permafrost.runs import SHEET, RunRecords


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
