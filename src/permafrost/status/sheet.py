"""Whether a human has shown lately that the recovery sheet opens the backups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from permafrost.findings import Finding, FindingKind
from permafrost.runs import SHEET, RunRecords


def sheet_findings(records: RunRecords, prove_sheet_days: int, now: datetime) -> Iterator[Finding]:
    """Yield the reminder that nobody has done so for that many days, since the first run if never; 0 for none."""
    shown = records.newest(SHEET, "done")
    since = shown.started_at if shown is not None else records.began()
    if prove_sheet_days and since is not None and now - since > timedelta(days=prove_sheet_days):
        days = (now - since).days
        yield Finding(
            FindingKind.SHEET_UNPROVEN,
            "sheet",
            f"for {days} days nobody has shown that the recovery sheet opens the backups: permafrost sheet prove",
        )
