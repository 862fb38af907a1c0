"""How health checks are shown."""

from __future__ import annotations

from collections.abc import Iterator

from permafrost.mastodon.health.report import HealthReport

_MARKS = {"passed": "ok", "finding": "FINDING", "skipped": "skipped"}
_SHOWN_IDS = 10


def health_lines(report: HealthReport) -> Iterator[str]:
    """Yield a line for each check, the rows that it is about below it."""
    for check in report.checks:
        yield f"{_MARKS[check.outcome]:>8}  {check.message}"
        if check.outcome == "finding" and check.ids:
            more = (check.count or len(check.ids)) - min(len(check.ids), _SHOWN_IDS)
            yield f"{'':>8}  {', '.join(check.ids[:_SHOWN_IDS])}{f' and {more} more' if more > 0 else ''}"
        if check.sql:
            yield f"{'':>8}  list them with: {check.sql}"
