"""A throw-away PostgreSQL server that is fit for one snapshot, for drills and exports.

It needs the server programs of the snapshot's major version (or, if they are not installed, of the next newer one
that is), a folder with room, and nothing else: no server that runs, no configuration, no network.

A run that is killed leaves its data behind, and may leave its server. Each has a private folder of its own, which is
locked while it is in use (private_folders.py), so the next run finds what was left and removes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from permafrost.errors import ToolError
from permafrost.events import Note, Reporter
from permafrost.postgres.connection import database_errors
from permafrost.postgres.programs.binaries import installed_servers, server_binaries
from permafrost.postgres.programs.scratch import SERVER_USER, ScratchCluster
from permafrost.private_folders import check_place, locked_folder, remove_abandoned
from permafrost.repository.durable import space_errors
from permafrost.repository.manifest import DatabaseFacts

_PREFIX = "permafrost-scratch-"

# Nothing of it outlives the run, so nothing is written twice: rows that are loaded into a table that was emptied in
# the same transaction need no WAL (manual, "Populating a Database", "Disable WAL Archival and Streaming Replication").
_SETTINGS = {"wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off", "full_page_writes": "off"}
_EVENT_TRIGGERS_SINCE = (
    17  # since when they can be switched off, and a login can be an event; nothing of a drill is one
)


@contextmanager
def scratch_server(facts: DatabaseFacts, folder: Path, report: Reporter) -> Iterator[ScratchCluster]:
    """Yield a running server below `folder` that has the snapshot's roles; it is gone after the block.

    What killed runs left there is taken away first. Nobody else on the machine can connect to the server, and it
    listens on no network. Raise `ToolError` if no server programs are installed that will do, `ConfigurationError` if
    another user could exchange what lies in `folder`.
    """
    major, binaries = _binaries_for(facts.server_major, report)
    settings = _SETTINGS if major < _EVENT_TRIGGERS_SINCE else {**_SETTINGS, "event_triggers": "off"}
    check_place(folder)
    remove_abandoned(folder, _PREFIX, lambda left: _end_abandoned(left, report))
    with ExitStack() as stack:
        with space_errors(folder):
            own = stack.enter_context(locked_folder(folder, _PREFIX))
        report(Note(f"a server of its own in {own}, which nobody else can enter"))
        server = stack.enter_context(ScratchCluster(own, binaries=binaries, settings=settings))
        _make_roles(server, facts)
        yield server


def _end_abandoned(own: Path, report: Reporter) -> None:
    report(Note(f"a killed run left {own}; removing it"))
    ScratchCluster(own).destroy()


def _binaries_for(major: int, report: Reporter) -> tuple[int, Path]:
    """Return the server programs of version `major`, else of the next newer one that is installed, and its version."""
    fitting = [installed for installed in installed_servers() if installed >= major]
    if not fitting:
        return major, server_binaries(major)  # which says what is installed, and what to install
    if min(fitting) != major:
        report(Note(f"PostgreSQL {major} is not installed here; PostgreSQL {min(fitting)} takes its place"))
    return min(fitting), server_binaries(min(fitting))


def _make_roles(server: ScratchCluster, facts: DatabaseFacts) -> None:
    """Make the snapshot's roles: superusers, as owners of event triggers have to be, whom nobody can log in as."""
    with (
        database_errors("cannot make the snapshot's roles"),
        psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection,
    ):
        for role in facts.roles:
            if role.name.startswith("pg_"):
                raise ToolError(f"the snapshot has a role {role.name}, a name that PostgreSQL keeps for itself")
            if role.name != SERVER_USER:
                connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER NOLOGIN").format(sql.Identifier(role.name)))
