"""What any database promises, as health checks: unique keys, exclusions, foreign keys, rows that can be read."""

from __future__ import annotations

from collections.abc import Iterator

from permafrost.mastodon.health.report import Check
from permafrost.postgres.integrity.examine import Examined
from permafrost.postgres.integrity.rules import RuleKind, Unexamined, Violation

_HOLDS: dict[RuleKind, str] = {
    "unique-index": "unique indexes: every key is unique in the table itself",
    "exclusion": "exclusion constraints: no two rows exclude each other",
    "foreign-key": "foreign keys: every row refers to one that exists",
    "readable-rows": "tables: every row can be read, and its text is valid",
}
_BROKEN: dict[RuleKind, str] = {
    "unique-index": "{n} keys of the unique index {rule} on {table} appear in more than one row: a damaged index hid "
    "them, and a restore cannot build it. Stop everything that uses the database, back up, remove or merge all rows of "
    "a key but one, then REINDEX",
    "exclusion": "{n} pairs of rows of {table} exclude each other by {rule}: a restore cannot add the constraint. "
    "Change or remove one of each, then REINDEX",
    "foreign-key": "{n} values in {table} refer to rows that do not exist, although its foreign key {rule} is valid: "
    "a restore cannot add it. Remove the rows, or bring back what they refer to",
    "readable-rows": "{n} rows of {table} cannot be read, or contain bytes that are not text in the database's "
    "encoding: {reason}. A backup fails at the former, a restore refuses the latter. Restore them from an earlier "
    "snapshot (permafrost restore-table), and check the disk",
}


def check_integrity(examined: Examined) -> Iterator[Check]:
    """Yield a finding for each rule that is broken, and one check for each kind of rule that holds."""
    for violation in examined.violations:
        yield _finding(violation)
    for kind, count in examined.counts.items():
        broken = [
            *(violated.kind for violated in examined.violations),
            *(left_out.kind for left_out in examined.unexamined),
        ].count(kind)
        if count > broken:
            yield Check(_plural(kind), "passed", f"{count - broken} {_HOLDS[kind]}", count=count - broken)
    for unexamined in examined.unexamined:
        yield _skipped(unexamined)


def _finding(violation: Violation) -> Check:
    message = _BROKEN[violation.kind].format(
        n=violation.count, table=violation.table, rule=violation.rule, reason=violation.reason
    )
    code = f"{violation.kind}-{violation.table}-{violation.rule}"
    return Check(code, "finding", message, violation.samples, violation.count, violation.query)


def _skipped(unexamined: Unexamined) -> Check:
    message = f"{unexamined.table}, {unexamined.rule}: not examined, since {unexamined.reason}"
    return Check(f"{unexamined.kind}-{unexamined.table}-{unexamined.rule}", "skipped", message)


def _plural(kind: RuleKind) -> str:
    return {"unique-index": "unique-indexes", "exclusion": "exclusions", "foreign-key": "foreign-keys"}.get(kind, kind)
