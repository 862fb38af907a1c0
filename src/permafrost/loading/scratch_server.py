"""A throw-away PostgreSQL server that is fit for one snapshot, for drills and exports.

It needs the server programs of the snapshot's major version (or, if they are not installed, of the next newer one
that is), a folder with room, and nothing else: no server that runs, no configuration, no network.

A run that is killed leaves its server and its data behind. Each has a folder of its own in the scratch folder, and
whoever made it holds a lock beside it, by flock(2), which the kernel lets go with the process. So the next run tells
what was left from what is in use, and takes it away; a folder is there only while its lock is.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from permafrost.errors import ToolError
from permafrost.events import Note, Reporter
from permafrost.postgres.binaries import installed_servers, server_binaries
from permafrost.postgres.connection import database_errors
from permafrost.postgres.scratch import SERVER_USER, ScratchCluster
from permafrost.repository.durable import space_errors
from permafrost.repository.manifest import DatabaseFacts

DEFAULT_FOLDER = Path("/var/tmp")  # noqa: S108 - a folder of its own is made in it, closed to all others
_PREFIX = "permafrost-scratch-"
_LOCK = ".lock"

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
    listens on no network. Raise `ToolError` if no server programs are installed that will do.
    """
    major, binaries = _binaries_for(facts.server_major, report)
    settings = _SETTINGS if major < _EVENT_TRIGGERS_SINCE else {**_SETTINGS, "event_triggers": "off"}
    remove_abandoned(folder, report)
    with _locked_folder(folder) as own:
        report(Note(f"a server of its own in {own}, which nobody else can enter"))
        with ScratchCluster(own, binaries=binaries, settings=settings) as server:
            _make_roles(server, facts)
            yield server


def remove_abandoned(folder: Path, report: Reporter) -> None:
    """End the servers of runs that were killed, and remove their folders; those in use stay."""
    for lock_file in sorted(folder.glob(f"{_PREFIX}*{_LOCK}")):
        if not _is_own_file(lock_file):
            continue
        descriptor = os.open(lock_file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its owner lives
        else:
            own = lock_file.with_name(lock_file.name.removesuffix(_LOCK))
            if own.is_dir() and not own.is_symlink():
                report(Note(f"a run that was killed left {own}; it is removed"))
                ScratchCluster(own).destroy()
            lock_file.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _is_own_file(path: Path) -> bool:
    """Return whether it is a file of ours; the folder may be one that everybody can write to."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


@contextmanager
def _locked_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder that is not there yet, whose lock is held; the cluster makes it."""
    with space_errors(folder):
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_LOCK, dir=folder)
    lock_file = Path(name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield lock_file.with_name(lock_file.name.removesuffix(_LOCK))
    finally:
        lock_file.unlink(missing_ok=True)
        os.close(descriptor)


def _binaries_for(major: int, report: Reporter) -> tuple[int, Path]:
    """Return the server programs of version `major`, else of the next newer one that is installed, and its version."""
    fitting = [one for one in installed_servers() if one >= major]
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
