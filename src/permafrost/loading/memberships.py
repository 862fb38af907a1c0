"""The commands that give a snapshot's roles the memberships that they had in the source, and no more.

From PostgreSQL 16 on each membership has options. Until then its member has the rights by itself or not for all its
memberships alike, and may always become the role; a membership that forbade that is not granted to such a server.
"""

from __future__ import annotations

from collections.abc import Iterator

from permafrost.repository.manifest import Membership, Role

_OPTIONS_SINCE = 16
_BY_DEFAULT = Membership(role="", can_grant=False, inherits=True, can_become=True)


def quoted(name: str) -> str:
    """Return a role's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def inheritance(role: Role, major: int) -> str:
    """Return what CREATE ROLE has to say of inheritance on a server of version `major`, "" for nothing."""
    memberships = role.memberships or ()
    is_own = major < _OPTIONS_SINCE and memberships and not any(membership.inherits for membership in memberships)
    return " NOINHERIT" if is_own else ""


def grants(role: Role, major: int) -> Iterator[tuple[str, str]]:
    """Yield each role that was granted to `role`, and the command that grants it on a server of version `major`.

    A snapshot of before 2026-11-27 does not say with which options: it yields nothing.
    """
    for membership in role.memberships or ():
        options = _options(membership, major)
        if options is not None:
            yield membership.role, f"GRANT {quoted(membership.role)} TO {quoted(role.name)}{options}"


def _options(membership: Membership, major: int) -> str | None:
    if major < _OPTIONS_SINCE:
        if not membership.can_become:
            return None
        return " WITH ADMIN OPTION" if membership.can_grant else ""
    if membership == _BY_DEFAULT.model_copy(update={"role": membership.role}):
        return ""
    claims = {"ADMIN": membership.can_grant, "INHERIT": membership.inherits, "SET": membership.can_become}
    return " WITH " + ", ".join(f"{option} {str(is_true).upper()}" for option, is_true in claims.items())
