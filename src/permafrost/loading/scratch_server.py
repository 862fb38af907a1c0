"""A throw-away PostgreSQL server that suits one snapshot, for drills and exports.

It needs the server programs of the snapshot's major version (or, if they are not installed, of the next newer one
that is), a folder with room, and nothing else: no server that runs, no configuration, no network.

A run that is killed leaves its data behind, and may leave its server. Each has a private folder of its own, which is
locked while it is in use (private_folders.py), so the next run finds what was left and removes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from permafrost.errors import ToolError
from permafrost.events import Note, Reporter, Warned
from permafrost.loading.logins import READER_ROLE, ROWS_ROLE
from permafrost.loading.memberships import grants, inheritance, quoted
from permafrost.postgres.connection import database_errors
from permafrost.postgres.programs.binaries import installed_servers, server_binaries
from permafrost.postgres.programs.scratch import SERVER_USER, NewCluster, ScratchCluster
from permafrost.private_folders import check_place, locked_folder, remove_abandoned
from permafrost.processes.sandbox import check_sandbox
from permafrost.repository.durable import space_errors
from permafrost.repository.manifest import DatabaseFacts, Role

_PREFIX = "permafrost-scratch-"
_OWN_SUPERUSER = "permafrost_superuser"

# Nothing of it outlives the run, so nothing is written twice: rows that are loaded into a table that was emptied in
# the same transaction need no WAL (manual, "Populating a Database", "Disable WAL Archival and Streaming Replication").
_SETTINGS = {"wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off", "full_page_writes": "off"}
_CHECKSUMS_SINCE = 18  # since when initdb turns them on; a drill compares all rows, and nothing reads its files later
_EVENT_TRIGGERS_SINCE = (
    17  # since when they can be switched off, and a login can be an event; nothing of a drill is one
)


@dataclass(frozen=True, slots=True)
class ScratchPlace:
    """The folder in which a throw-away server is made, and whether it is enclosed in a sandbox."""

    folder: Path
    is_sandboxed: bool = True


@contextmanager
def scratch_server(facts: DatabaseFacts, place: ScratchPlace, report: Reporter) -> Iterator[ScratchCluster]:
    """Yield a running server in `place` that has the snapshot's roles; it is removed after the block.

    What killed runs left there is removed first. Nobody else on the machine can connect to the server, and it listens
    on no network. Raise `ToolError` if no server programs are installed that will do, or no sandbox can be had,
    `ConfigurationError` if another user could exchange what is in the folder.
    """
    major, binaries = _binaries_for(facts.server_major, report)
    settings = _SETTINGS if major < _EVENT_TRIGGERS_SINCE else {**_SETTINGS, "event_triggers": "off"}
    check_place(place.folder)
    _check_sandbox(place, report)
    remove_abandoned(place.folder, _PREFIX, lambda left: _end_abandoned(left, report))
    with ExitStack() as stack:
        with space_errors(place.folder):
            own = stack.enter_context(locked_folder(place.folder, _PREFIX))
        report(Note(f"starting a server in {own}, which nobody else can enter"))
        cluster = ScratchCluster(
            own,
            binaries=binaries,
            settings=settings,
            is_sandboxed=place.is_sandboxed,
            new=NewCluster(_superuser(facts), ("--no-data-checksums",) if major >= _CHECKSUMS_SINCE else ()),
        )
        server = stack.enter_context(cluster)
        _make_roles(server, facts, major)
        yield server


def _check_sandbox(place: ScratchPlace, report: Reporter) -> None:
    if place.is_sandboxed:
        check_sandbox()
        return
    report(
        Warned(
            '[state] sandbox is "off": the snapshot may hold code of whoever can write to the database, and nothing'
            " encloses the server in which it runs"
        )
    )


def _end_abandoned(own: Path, report: Reporter) -> None:
    report(Note(f"a killed run left {own}; removing it"))
    ScratchCluster(own).destroy()


def _binaries_for(major: int, report: Reporter) -> tuple[int, Path]:
    """Return the server programs of version `major`, else of the next newer one that is installed, and its version."""
    fitting = [installed for installed in installed_servers() if installed >= major]
    if not fitting:
        return major, server_binaries(major)  # which says what is installed, and what to install
    if min(fitting) != major:
        report(Note(f"PostgreSQL {major} is not installed here; using PostgreSQL {min(fitting)} instead"))
    return min(fitting), server_binaries(min(fitting))


def _superuser(facts: DatabaseFacts) -> str:
    """Return the name of the server's superuser: one that is nobody's else among the snapshot's roles."""
    ordinary = {role.name for role in _roles(facts) if not role.is_superuser}
    return _OWN_SUPERUSER if SERVER_USER in ordinary else SERVER_USER


def _roles(facts: DatabaseFacts) -> tuple[Role, ...]:
    """Return the roles that have to do with the snapshot, and those that they are members of."""
    return (*facts.roles, *(facts.groups or ()))


def _make_roles(server: ScratchCluster, facts: DatabaseFacts, major: int) -> None:
    """Make the snapshot's roles with the rights that they had in the source, and two for rows alone.

    They can log in, for the rows of their tables; who may enter the socket's folder is a superuser anyway.
    """
    superuser = _superuser(facts)
    names = [ROWS_ROLE, READER_ROLE, _OWN_SUPERUSER, *(role.name for role in _roles(facts))]
    for name in names:
        if name.startswith("pg_") or names.count(name) > 1:
            raise ToolError(f"the snapshot has a role {name}, a name that is reserved")
    with (
        database_errors("cannot create the snapshot's roles"),
        psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection,
    ):
        connection.execute(f"CREATE ROLE {ROWS_ROLE} LOGIN")
        connection.execute(f"CREATE ROLE {READER_ROLE} LOGIN BYPASSRLS IN ROLE pg_read_all_data")
        for role in _roles(facts):
            if role.name != superuser:
                connection.execute(f"CREATE ROLE {quoted(role.name)} LOGIN {_rights(role, major)}".encode())
        _grant_memberships(connection, facts, major)


def _rights(role: Role, major: int) -> str:
    rights = ("" if role.is_superuser else "NO") + "SUPERUSER " + ("" if role.bypasses_rls else "NO") + "BYPASSRLS"
    return rights + inheritance(role, major)


def _grant_memberships(connection: psycopg.Connection, facts: DatabaseFacts, major: int) -> None:
    """Grant what was granted in the source, as far as there are such roles: PostgreSQL's own differ by version."""
    there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for role in _roles(facts):
        for granted, command in grants(role, major):
            if granted in there:
                connection.execute(command.encode())
