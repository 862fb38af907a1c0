"""Every promise that a database makes, held against its rows, one after the other. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from permafrost.events import Note, Progress, Reporter, Unit
from permafrost.postgres.catalog import TableName, list_tables
from permafrost.postgres.error_text import first_line
from permafrost.postgres.integrity.exclusions import Exclusion, examine_exclusion, list_exclusions
from permafrost.postgres.integrity.foreign_keys import ForeignKey, examine_foreign_key, list_foreign_keys
from permafrost.postgres.integrity.readable_rows import examine_rows
from permafrost.postgres.integrity.rules import Outcome, RuleKind, Unexamined, Violation
from permafrost.postgres.integrity.unique_indexes import UniqueIndex, examine_unique_index, list_unique_indexes


@dataclass(frozen=True, slots=True)
class Examined:
    """What was looked at, by kind of rule and how many, and what was found."""

    counts: dict[RuleKind, int]
    violations: tuple[Violation, ...]
    unexamined: tuple[Unexamined, ...]
    unique_indexes: tuple[UniqueIndex, ...]


Rule = UniqueIndex | Exclusion | ForeignKey | TableName


def examine_integrity(connection: psycopg.Connection, report: Reporter, *, reads_rows: bool = True) -> Examined:
    """Return which rows break a rule, and which rules could not be looked at; within `without_indexes`.

    A rule that fails to be examined costs no other its turn. Without `reads_rows` the rows that nothing depends on are
    not read.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL search_path = pg_catalog")  # what the queries name is then the same for everybody
        return _examine_all(connection, report, reads_rows=reads_rows)


def _examine_all(connection: psycopg.Connection, report: Reporter, *, reads_rows: bool) -> Examined:
    indexes, exclusions = list_unique_indexes(connection), list_exclusions(connection)
    keys, tables = list_foreign_keys(connection), list(list_tables(connection)) if reads_rows else []
    parts: tuple[tuple[str, Unit, Sequence[Rule]], ...] = (
        ("look at unique indexes and exclusion constraints", "indexes", [*indexes, *exclusions]),
        ("look at foreign keys", "keys", keys),
        ("read every row", "tables", tables),
    )
    outcomes: list[Outcome] = []
    for title, unit, rules in parts:
        if rules:
            report(Note(title))
        for done, rule in enumerate(rules, 1):
            outcomes.append(_outcome(connection, rule))
            report(Progress(done, len(rules), unit))
    return Examined(
        counts={
            "unique-index": len(indexes),
            "exclusion": len(exclusions),
            "foreign-key": len(keys),
            "readable-rows": len(tables),
        },
        violations=tuple(outcome for outcome in outcomes if isinstance(outcome, Violation)),
        unexamined=tuple(outcome for outcome in outcomes if isinstance(outcome, Unexamined)),
        unique_indexes=tuple(indexes),
    )


def _outcome(connection: psycopg.Connection, rule: Rule) -> Outcome:
    try:
        with connection.transaction():
            return _examine(connection, rule)
    except psycopg.Error as error:
        if connection.closed:
            raise
        return _unexamined(rule, first_line(error))


def _examine(connection: psycopg.Connection, rule: Rule) -> Outcome:
    match rule:
        case UniqueIndex():
            return examine_unique_index(connection, rule)
        case Exclusion():
            return examine_exclusion(connection, rule)
        case ForeignKey():
            return examine_foreign_key(connection, rule)
        case TableName():
            return examine_rows(connection, rule)


def _unexamined(rule: Rule, reason: str) -> Unexamined:
    match rule:
        case UniqueIndex():
            return Unexamined("unique-index", rule.table, rule.name, reason)
        case Exclusion():
            return Unexamined("exclusion", rule.table, rule.name, reason)
        case ForeignKey():
            return Unexamined("foreign-key", rule.table, rule.name, reason)
        case TableName():
            return Unexamined("readable-rows", rule, "rows", reason)
