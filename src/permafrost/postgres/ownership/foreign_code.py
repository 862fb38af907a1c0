"""Code that runs for others than its owner: functions in objects of another role, and what a superuser's reading runs.

A function in a check, an index, a trigger, a rule or a policy runs when somebody writes or reads the table, often with
that one's rights. It is its owner's who decides what it does, at any time. Where that is not the table's owner, a human
should know; in a database of one owner, as Mastodon's is, there is none. Functions of PostgreSQL itself and of its
extensions do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import psycopg

from permafrost.postgres.connection import database_errors

MOST = 200
_MOST_NAMED = 3
_FIRST_OF_USERS = 16384  # FirstNormalObjectId in PostgreSQL's access/transam.h: initdb made what is below

_CALLED = """
WITH dependent AS (
    SELECT d.classid, d.objid,
        CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode::oid END AS func
    FROM pg_depend d
    LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
    WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND d.refobjid >= %(first)s),
called (kind, name, rel, func) AS (
    SELECT 'check', c.conname, c.conrelid, func FROM dependent JOIN pg_constraint c ON c.oid = objid
        WHERE classid = 'pg_constraint'::regclass AND c.conrelid <> 0
    UNION SELECT 'domain', t.typname, a.attrelid, func FROM dependent JOIN pg_constraint c ON c.oid = objid
        JOIN pg_type t ON t.oid = c.contypid JOIN pg_attribute a ON a.atttypid = t.oid
        WHERE classid = 'pg_constraint'::regclass AND a.attnum > 0
    UNION SELECT 'index', c.relname, i.indrelid, func FROM dependent JOIN pg_index i ON i.indexrelid = objid
        JOIN pg_class c ON c.oid = objid WHERE classid = 'pg_class'::regclass
    UNION SELECT 'index', c.relname, i.indrelid, p.amproc FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid,
        unnest(i.indclass) AS class JOIN pg_opclass o ON o.oid = class JOIN pg_amproc p ON p.amprocfamily = o.opcfamily
        WHERE o.oid >= %(first)s
    UNION SELECT 'statistics', s.stxname, s.stxrelid, func FROM dependent JOIN pg_statistic_ext s ON s.oid = objid
        WHERE classid = 'pg_statistic_ext'::regclass
    UNION SELECT 'default', a.attname, a.attrelid, func FROM dependent JOIN pg_attrdef d ON d.oid = objid
        JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE classid = 'pg_attrdef'::regclass
    UNION SELECT 'policy', p.polname, p.polrelid, func FROM dependent JOIN pg_policy p ON p.oid = objid
        WHERE classid = 'pg_policy'::regclass
    UNION SELECT 'rule', r.rulename, r.ev_class, func FROM dependent JOIN pg_rewrite r ON r.oid = objid
        WHERE classid = 'pg_rewrite'::regclass
    UNION SELECT 'trigger', t.tgname, t.tgrelid, t.tgfoid FROM pg_trigger t WHERE NOT t.tgisinternal)
SELECT kind, called.name, format('%%s.%%s', n.nspname, c.relname), co.rolname, format('%%s.%%s', pn.nspname, p.proname),
    po.rolname, po.rolsuper
FROM called JOIN pg_class c ON c.oid = called.rel JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_roles co ON co.oid = c.relowner JOIN pg_proc p ON p.oid = called.func
    JOIN pg_namespace pn ON pn.oid = p.pronamespace JOIN pg_roles po ON po.oid = p.proowner
WHERE p.oid >= %(first)s AND n.nspname <> ALL(%(excluded)s) AND NOT EXISTS (SELECT FROM pg_depend e
    WHERE e.deptype = 'e' AND ((e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
        OR (e.classid = 'pg_class'::regclass AND e.objid = c.oid)))
"""
_OF_OTHERS = """AND p.proowner <> c.relowner
UNION SELECT 'event trigger', t.evtname, '', eo.rolname, format('%%s.%%s', pn.nspname, p.proname), po.rolname,
    po.rolsuper
FROM pg_event_trigger t JOIN pg_roles eo ON eo.oid = t.evtowner JOIN pg_proc p ON p.oid = t.evtfoid
    JOIN pg_namespace pn ON pn.oid = p.pronamespace JOIN pg_roles po ON po.oid = p.proowner
WHERE NOT EXISTS (SELECT FROM pg_depend e
    WHERE e.deptype = 'e' AND e.classid = 'pg_event_trigger'::regclass AND e.objid = t.oid)
ORDER BY 6, 1, 3, 2 LIMIT %(most)s"""
_RUN_BY_READING = """AND kind IN ('index', 'statistics') AND NOT po.rolsuper
    AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
ORDER BY 6, 1, 3, 2 LIMIT %(most)s"""


@dataclass(frozen=True, slots=True)
class ForeignCode:
    """A function that runs when an object of `owner` is used; `table` is schema.name, empty for an event trigger.

    `kind` says what calls it: check, domain, index, statistics, default, policy, rule, trigger, event trigger.
    """

    kind: str
    name: str
    table: str
    owner: str
    function: str
    function_owner: str
    is_superusers: bool

    def __str__(self) -> str:
        on = f" on {self.table}" if self.table else ""
        return f"{self.kind} {self.name}{on} calls {self.function}"


def foreign_code(connection: psycopg.Connection, excluded_schemas: Collection[str] = ()) -> Sequence[ForeignCode]:
    """Return the functions that run in objects of other owners, and in event triggers, at most `MOST` of them."""
    return _read(connection, _CALLED + _OF_OTHERS, excluded_schemas)


def code_run_by_reading(connection: psycopg.Connection) -> Sequence[ForeignCode]:
    """Return the functions of ordinary roles that planning a query may run as us, if we are a superuser."""
    return _read(connection, _CALLED + _RUN_BY_READING, ())


def _read(connection: psycopg.Connection, query: str, excluded_schemas: Collection[str]) -> Sequence[ForeignCode]:
    with database_errors("cannot list whose code runs for others"):
        values = {"first": _FIRST_OF_USERS, "most": MOST, "excluded": list(excluded_schemas)}
        return [ForeignCode(*row) for row in connection.execute(query.encode(), values)]


def by_function_owner(codes: Iterable[ForeignCode]) -> Iterator[tuple[str, str]]:
    """Yield each function owner, said to be a superuser if so, and in words where their functions run."""
    ordered = sorted(codes, key=lambda code: code.function_owner)
    for owner, group in groupby(ordered, key=lambda code: code.function_owner):
        found = list(group)
        more = f", and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        whose = f"the role {owner}, a superuser" if found[0].is_superusers else f"the role {owner}"
        yield whose, "; ".join(map(str, found[:_MOST_NAMED])) + more
