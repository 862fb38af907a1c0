"""The description of the database as the last run read it, which holds as long as the catalog is the same.

Reading it takes the server longer than seeing that no row version of the catalog has come or gone (catalog_mark), which
a run does in any case, for pg_dump's sake. All of a description comes from the catalog, except the database's size,
which is asked for each time. What the configuration leaves out, the server's version and the role that reads have to be
the same: whose code runs for others depends on the role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import psycopg

from permafrost import __version__
from permafrost.postgres.catalog import DatabaseDescription, Grant, TableName, database_size_bytes
from permafrost.postgres.left_out import LeftOut
from permafrost.postgres.ownership.foreign_code import ForeignCode
from permafrost.postgres.ownership.roles import Membership, RoleFacts

Fact = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KnownDescription:
    """A description, and the mark of the catalog that it was read from."""

    mark: str
    description: DatabaseDescription

    @classmethod
    def of(cls, fact: Mapping[str, Any] | None, left_out: LeftOut, connection: psycopg.Connection) -> Self | None:
        """Return what the state remembers; None if that was read in another way than it would be read now."""
        try:
            if fact is None or fact["read"] != _how_read(left_out, connection):
                return None
            return cls(fact["mark"], _description(fact["facts"]))
        except (TypeError, KeyError):
            return None

    def now(self, connection: psycopg.Connection) -> DatabaseDescription:
        """Return the description of the same database, whose catalog has the same mark."""
        return replace(self.description, size_bytes=database_size_bytes(connection))


def fact_of(
    mark: str | None, description: DatabaseDescription, left_out: LeftOut, connection: psycopg.Connection
) -> Fact | None:
    """Return what the state has to remember, None if there is no mark by which to know the catalog again."""
    if mark is None:
        return None
    return {"mark": mark, "read": _how_read(left_out, connection), "facts": asdict(description)}


def _how_read(left_out: LeftOut, connection: psycopg.Connection) -> Fact:
    return {
        "version": __version__,
        "server_version": connection.info.server_version,
        "role": connection.info.user,
        "left_out": [sorted(left_out.schemas), sorted(map(str, left_out.tables))],
    }


def _description(facts: Mapping[str, Any]) -> DatabaseDescription:
    """Return the description that `asdict` and JSON have taken apart."""
    grants = facts["grants"]
    return DatabaseDescription(
        **{
            **facts,
            "tablespaces": tuple(facts["tablespaces"]),
            "security_labels": _rows(facts["security_labels"]),
            "grants": None if grants is None else tuple(Grant(**grant) for grant in grants),
            "settings": _rows(facts["settings"]),
            "extensions": _rows(facts["extensions"]),
            "roles": tuple(map(_role, facts["roles"])),
            "groups": tuple(map(_role, facts["groups"])),
            "foreign_code": tuple(ForeignCode(**code) for code in facts["foreign_code"]),
            "excluded_schemas": tuple(facts["excluded_schemas"]),
            "excluded_tables": tuple(TableName(**name) for name in facts["excluded_tables"]),
        }
    )


def _rows(rows: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(row) for row in rows)


def _role(facts: Mapping[str, Any]) -> RoleFacts:
    memberships = tuple(Membership(**membership) for membership in facts["memberships"])
    lists = {"member_of": tuple(facts["member_of"]), "settings": tuple(facts["settings"])}
    return RoleFacts(**{**facts, **lists, "memberships": memberships})
