"""The result of a health check: passed, a finding, or skipped with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from permafrost.documents.restore import HealthCheckDocument, HealthDocument

Outcome = Literal["passed", "finding", "skipped"]
MOST_IDS = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `code` is stable; `ids` are rows that it is about, at most `MOST_IDS`.

    `count` is how many there are in all, where something was counted. `sql` shows the rows in psql, where they have to
    be seen to be repaired.
    """

    code: str
    outcome: Outcome
    message: str
    ids: tuple[str, ...] = ()
    count: int | None = None
    sql: str = ""

    def document(self) -> HealthCheckDocument:
        """Return it for JSON."""
        return HealthCheckDocument(self.code, self.outcome, self.message, self.ids, self.count, self.sql)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All checks in their order, and what the database was found to be."""

    schema_version: str | None
    release: str
    local_domain: str | None
    checks: tuple[Check, ...] = field(default=())

    @property
    def findings(self) -> tuple[Check, ...]:
        """What needs attention."""
        return tuple(check for check in self.checks if check.outcome == "finding")

    def document(self) -> HealthDocument:
        """Return it for JSON."""
        checks = tuple(check.document() for check in self.checks)
        return HealthDocument(self.schema_version, self.release, self.local_domain, checks)
