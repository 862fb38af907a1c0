"""The roles that have to do with a database, as they are in the source, and what they are members of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg


@dataclass(frozen=True, slots=True)
class Membership:
    """What a member has of a role: whether it may grant the role on, has its rights by itself, and may become it."""

    role: str
    can_grant: bool
    inherits: bool
    can_become: bool


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """A role that owns or is granted something in the database, or that a setting of it names; or a group of such."""

    name: str
    can_login: bool
    is_superuser: bool
    member_of: tuple[str, ...] = ()
    """The roles that were granted to it."""
    settings: tuple[str, ...] = ()
    """`name=value` of each ALTER ROLE SET for all databases."""
    bypasses_rls: bool = False
    memberships: tuple[Membership, ...] = ()
    """The same roles as `member_of`, with the options."""


def read_roles(connection: psycopg.Connection, names: Sequence[str]) -> Sequence[RoleFacts]:
    """Return the named roles and those that they are members of, directly or not, sorted by name.

    Until 15 it was a member's own property whether it inherits, and every member might become the role (release notes
    of 16). One that was granted a role several times has all the options together.
    """
    rows = connection.execute(
        """WITH RECURSIVE granted AS (
            SELECT m.member, m.roleid, bool_or(m.admin_option) AS can_grant,
                bool_or(coalesce((to_jsonb(m)->>'inherit_option')::bool, r.rolinherit)) AS inherits,
                bool_or(coalesce((to_jsonb(m)->>'set_option')::bool, true)) AS can_become
            FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member GROUP BY 1, 2),
        reached AS (
            SELECT oid FROM pg_roles WHERE rolname = ANY(%(names)s)
            UNION SELECT granted.roleid FROM granted JOIN reached ON reached.oid = granted.member)
        SELECT r.rolname, r.rolcanlogin, r.rolsuper, coalesce(r.rolconfig, '{}'), r.rolbypassrls,
            coalesce((SELECT json_agg(json_build_array(g.rolname, can_grant, inherits, can_become) ORDER BY g.rolname)
                FROM granted JOIN pg_roles g ON g.oid = granted.roleid WHERE granted.member = r.oid), '[]')
        FROM pg_roles r JOIN reached USING (oid) WHERE r.rolname !~ '^pg_' ORDER BY 1""",
        {"names": list(names)},
    )
    return [
        RoleFacts(
            name=row[0],
            can_login=row[1],
            is_superuser=row[2],
            member_of=tuple(membership[0] for membership in row[5]),
            settings=tuple(row[3]),
            bypasses_rls=row[4],
            memberships=tuple(Membership(*membership) for membership in row[5]),
        )
        for row in rows
    ]
