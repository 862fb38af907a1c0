"""What is checked before a restore touches anything; each refusal says what to do."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg

from permafrost.errors import RestoreRefusedError
from permafrost.events import Note, Reporter, Warned
from permafrost.loading.memberships import grants, inheritance, quoted
from permafrost.postgres.building.extension_trial import extensions_for_superusers
from permafrost.postgres.building.provision import (
    connections_to,
    database_exists,
    free_bytes,
    is_unfinished_restore,
    locale_problem,
    may_become,
    missing_extensions,
    missing_roles,
    unusable_tablespaces,
)
from permafrost.postgres.connection import database_errors, for_database, server_major, server_of
from permafrost.postgres.ownership.foreign_code import ForeignCode, by_function_owner
from permafrost.printable import printable
from permafrost.repository.manifest import DatabaseFacts, Role

_UNCHANGED = "everything"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a restore goes: the database's final name, and whether it takes a live one's place.

    Owners and grants, and tablespaces, may be left out, and so may extensions that the server refuses to create, where
    the database is only looked at, or better than none without them. With a `role`, which is never `with_owners`,
    everything is made by that role and belongs to it. If it `is_existing`, somebody else made it, and it is loaded
    under its own name. `without_extensions` are left out, with what depends on them.
    """

    database: str
    replaces: bool
    with_owners: bool
    with_tablespaces: bool = True
    with_all_extensions: bool = True
    role: str | None = None
    without_extensions: tuple[str, ...] = ()
    is_existing: bool = False

    def wanted(self, facts: DatabaseFacts) -> list[str]:
        """Return the names of the extensions to create."""
        return [extension.name for extension in facts.extensions if extension.name not in self.without_extensions]


def check_target(
    connection: psycopg.Connection,
    target: Target,
    facts: DatabaseFacts,
    report: Reporter,
    *,
    needs_extensions: bool = True,
) -> Target:
    """Return the target as the server can take it; raise `RestoreRefusedError` if it cannot take the snapshot.

    1. The database's name is free, or is there and unused if it is to be replaced.
    2. The server is not older than the snapshot's.
    3. The roles that own or are granted anything are there (unless owners are left out), or the one that is to own all.
    4. The extensions are installed, and this role may create them, if it `needs_extensions`.
    5. The server's C library knows the collation.
    6. The disk has room for what the database took.
    7. Its tablespaces are there; without one of them, everything goes into the default one, and a warning says so.
    """
    _check_name(connection, target)
    _check_version(connection, facts)
    if target.with_owners:
        _check_roles(connection, facts)
    if target.role is not None:
        _check_role(connection, target.role)
    if needs_extensions and not target.is_existing:  # some of them may be in it
        _check_extensions(connection, target.wanted(facts))
    _check_locale(connection, facts)
    _check_space(connection, facts, report)
    return _without_missing_tablespaces(connection, target, facts, report)


def _without_missing_tablespaces(
    connection: psycopg.Connection, target: Target, facts: DatabaseFacts, report: Reporter
) -> Target:
    if not target.with_tablespaces:
        return target
    missing = unusable_tablespaces(connection, facts.tablespaces or ())
    if not missing:
        return target
    report(
        Warned(
            f"the server has no tablespace {', '.join(missing)} that this role may use, so everything goes into the "
            "default one, as with --no-tablespaces; to use them, stop here, CREATE TABLESPACE, and restore again"
        )
    )
    return replace(target, with_tablespaces=False)


def _check_name(connection: psycopg.Connection, target: Target) -> None:
    exists = database_exists(connection, target.database)
    if target.is_existing:
        if not exists:
            raise RestoreRefusedError(
                f"there is no database {target.database}", unchanged=_UNCHANGED, hint="make it, or leave out --existing"
            )
        return
    if exists and not target.replaces and not is_unfinished_restore(connection, target.database):
        raise RestoreRefusedError(
            f"the database {target.database} exists",
            unchanged=_UNCHANGED,
            hint="restore under another name, or replace it with --replace (the old one is kept under another name)",
        )
    if target.replaces and not exists:
        raise RestoreRefusedError(
            f"there is no database {target.database} to replace", unchanged=_UNCHANGED, hint="leave out --replace"
        )
    if target.replaces and connection.info.dbname == target.database:
        raise RestoreRefusedError(
            f"the database {target.database} cannot be replaced while permafrost is connected to it",
            unchanged=_UNCHANGED,
            hint="name another database of the server: --server 'dbname=NAME ...'",
        )
    if target.replaces:
        sessions = connections_to(connection, target.database)
        if sessions:
            raise RestoreRefusedError(
                f"the database {target.database} is in use: {', '.join(sessions[:5])}",
                unchanged=_UNCHANGED,
                hint="stop everything that uses it, and PgBouncer: systemctl stop mastodon-web mastodon-sidekiq "
                "mastodon-streaming",
            )


def _check_version(connection: psycopg.Connection, facts: DatabaseFacts) -> None:
    here, there = server_major(connection), facts.server_major
    if here < there:
        raise RestoreRefusedError(
            f"the server is PostgreSQL {here}, and the snapshot was made by PostgreSQL {there}",
            unchanged=_UNCHANGED,
            hint=f"restore to PostgreSQL {there} or newer",
        )


def _check_roles(connection: psycopg.Connection, facts: DatabaseFacts) -> None:
    missing = missing_roles(connection, [role.name for role in facts.roles])
    if missing:
        roles = [role for role in facts.roles if role.name in missing]
        major = server_major(connection)
        created = [_creation(role, major) for role in roles]
        commands = "; ".join([*created, *_memberships(roles, {role.name for role in facts.roles}, major)])
        on = shlex.quote(for_database(server_of(connection), connection.info.dbname))
        settings = "; ".join(f"{role.name}: {', '.join(role.settings)}" for role in roles if role.settings)
        raise RestoreRefusedError(
            f"the server has no role {', '.join(missing)}, which the snapshot's objects are owned by or granted to",
            unchanged=_UNCHANGED,
            hint=f"create them with: psql -d {on} -c {shlex.quote(commands)} (or restore with --no-owner)"
            + (f"; their settings were, by ALTER ROLE SET: {printable(settings)}" if settings else ""),
        )


def _creation(role: Role, major: int) -> str:
    return f"CREATE ROLE {quoted(role.name)}{' LOGIN' if role.can_login else ''}{inheritance(role, major)}"


def _memberships(roles: Sequence[Role], known: Collection[str], major: int) -> Iterator[str]:
    """Yield the grants of roles to those `roles`, as far as the snapshot or PostgreSQL itself has the granted role.

    A snapshot of before 2026-11-27 does not have their options: they are those of a GRANT without any.
    """
    for role in roles:
        without_options = ((granted, _plain_grant(granted, role)) for granted in role.member_of or ())
        for granted, command in without_options if role.memberships is None else grants(role, major):
            if granted in known or granted.startswith("pg_"):
                yield command


def _plain_grant(granted: str, role: Role) -> str:
    return f"GRANT {quoted(granted)} TO {quoted(role.name)}"


def _check_role(connection: psycopg.Connection, role: str) -> None:
    if missing_roles(connection, [role]):
        raise RestoreRefusedError(
            f"the server has no role {role}", unchanged=_UNCHANGED, hint="create it, or name another with --role"
        )
    if not may_become(connection, role):
        raise RestoreRefusedError(
            f"{connection.info.user} may not act as the role {role}",
            unchanged=_UNCHANGED,
            hint=f"GRANT {role} TO {connection.info.user}",
        )


def _check_extensions(connection: psycopg.Connection, names: Sequence[str]) -> None:
    missing = missing_extensions(connection, names)
    if missing:
        raise RestoreRefusedError(
            f"the server does not have the extension {', '.join(missing)}",
            unchanged=_UNCHANGED,
            hint="install it; Debian's postgresql-contrib and postgresql-VERSION-NAME packages contain most of them. "
            "--keep-going restores what does not need it, and --without-extension leaves it out",
        )
    not_ours = extensions_for_superusers(connection, names)
    if not_ours:
        raise RestoreRefusedError(
            f"only a superuser may create the extension {', '.join(not_ours)}",
            unchanged=_UNCHANGED,
            hint="restore as one, such as: --server 'user=postgres host=/var/run/postgresql'; "
            "where that cannot be had, leave it out: --without-extension NAME",
        )


def _check_locale(connection: psycopg.Connection, facts: DatabaseFacts) -> None:
    problem = locale_problem(connection, facts.collate, facts.ctype)
    if problem is not None:
        raise RestoreRefusedError(
            f"the server does not have the snapshot's locale {facts.collate}: {problem}",
            unchanged=_UNCHANGED,
            hint="generate it (on Debian: dpkg-reconfigure locales), restart PostgreSQL, and restore again",
        )


def _check_space(connection: psycopg.Connection, facts: DatabaseFacts, report: Reporter) -> None:
    free = free_bytes(connection)
    if free is None:
        report(Note("the free space on the server's disk cannot be determined from here"))
    elif free < facts.size_bytes:
        raise RestoreRefusedError(
            f"the server's disk has {free / 1e9:.1f} GB free, and the database took {facts.size_bytes / 1e9:.1f} GB",
            unchanged=_UNCHANGED,
            hint="make room, or restore to another server",
        )


def warn_of_foreign_code(facts: DatabaseFacts, report: Reporter) -> None:
    """Warn of functions in the snapshot that run in objects of other owners: its restore will run some of them.

    Snapshots of before 2026-11-27 do not say so.
    """
    codes = [ForeignCode(**code.model_dump()) for code in facts.foreign_code or ()]
    for whose, where in by_function_owner(codes):
        report(
            Warned(
                printable(
                    f"the snapshot has code of {whose}, that runs in what others own or do: {where}; a restore runs it"
                )
            )
        )


def tell_whose_code_runs(connection: psycopg.Connection, role: str | None, report: Reporter) -> None:
    """Report with whose rights code in the snapshot will run: it may have been written to run when it is restored.

    As another `role` it begins; by SET ROLE NONE it can take back the rights of the role that is logged in.
    """
    with database_errors("cannot look at the restoring role"):
        row = connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row is not None  # noqa: S101 - whoever asks is a role
    name, is_superuser = row
    acting = "" if role in (None, name) else f" acting as {role}, from which it can return"
    report(
        Note(
            f"code in the snapshot (checks, index expressions, views) runs as the role {name}{acting}"
            + (", a superuser, who may start programs; if you do not trust it, drill it first" if is_superuser else "")
        )
    )
