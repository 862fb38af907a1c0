"""pg_restore as a program in a pipeline: its arguments, and what its exit means.

The archive is a stream or in memory, never a file. Its table of contents comes first, so that pg_restore
can list it, or load what follows no data, from the head of a stream.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from permafrost.errors import DatabaseError, PermafrostError
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import libpq_environment
from permafrost.postgres.programs.clients import ClientProgram
from permafrost.postgres.programs.sql_script import newer_settings_than
from permafrost.processes.program import Finished, Program

Section = Literal["pre-data", "data", "post-data"]
SECTIONS: tuple[Section, Section, Section] = ("pre-data", "data", "post-data")


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """How `pg_restore` is to load: into which database, with owners and grants and with tablespaces or without.

    `server_major` is the version of the database's server. `jobs` above 1 needs `archive_fd`, a seekable file; without
    one the archive comes on stdin. If it `is_one_transaction`, everything is loaded, by one job, or nothing.
    """

    conninfo: str
    pg_restore: ClientProgram
    server_major: int
    with_owners: bool
    with_tablespaces: bool = True
    archive_fd: int | None = None
    jobs: int = 1
    is_one_transaction: bool = False

    @property
    def is_understood(self) -> bool:
        """Whether the server knows all settings with which this pg_restore begins."""
        return not newer_settings_than(self.server_major, self.pg_restore.major)

    @property
    def without(self) -> list[str]:
        """What pg_restore has to leave out of every entry, as its options."""
        words = [] if self.with_owners else ["--no-owner", "--no-acl"]
        return words if self.with_tablespaces else [*words, "--no-tablespaces"]


def pg_restore_program(request: LoadRequest, list_fd: int) -> Program:
    """Return pg_restore that loads the entries listed in `list_fd`.

    It stops at the first error. `list_fd` is an open descriptor (pg_restore --use-list).
    """
    words = [
        request.pg_restore.path,
        "--format=custom",
        "--exit-on-error",
        "--no-password",
        f"--use-list=/proc/self/fd/{list_fd}",
        f"--dbname={request.conninfo}",
    ]
    words += request.without
    if request.is_one_transaction:
        words.append("--single-transaction")
    elif request.archive_fd is not None:
        words.append(f"--jobs={request.jobs}")
    return _reading(words, request.archive_fd, list_fd)


def pg_restore_script_program(request: LoadRequest, list_fd: int, archive_fd: int | None) -> Program:
    """Return pg_restore that writes the SQL of the entries listed in `list_fd` to its stdout, in the dump's encoding.

    The archive is `archive_fd`, or comes on stdin.
    """
    words = [
        request.pg_restore.path,
        "--format=custom",
        f"--use-list=/proc/self/fd/{list_fd}",
        "--file=-",
    ]
    words += request.without
    if request.is_one_transaction:
        words.append("--single-transaction")
    return _reading(words, archive_fd, list_fd)


def psql_program(request: LoadRequest) -> Program:
    """Return psql that runs the script on its stdin, which pg_restore wrote, and stops at the first error."""
    psql = request.pg_restore.beside("psql")
    words = (
        psql.path,
        "--no-psqlrc",
        "--quiet",
        "--no-password",
        "--set=ON_ERROR_STOP=1",
        f"--dbname={request.conninfo}",
    )
    return Program(words, libpq_environment())


def pg_restore_list_program(
    pg_restore: ClientProgram, archive_fd: int | None = None, *, section: Section | None = None
) -> Program:
    """Return pg_restore that writes the table of contents of the archive in `archive_fd`, or on its stdin.

    Of one `section` only, or of everything, and then with what each entry depends on.
    """
    which = "--verbose" if section is None else f"--section={section}"
    return _reading([pg_restore.path, "--format=custom", "--list", which], archive_fd)


def _reading(words: list[str], archive_fd: int | None, *descriptors: int) -> Program:
    """Return the program with an archive to read: a file's name lets it seek, where it needs to."""
    if archive_fd is None:
        return Program(tuple(words), libpq_environment(), pass_fds=descriptors)
    return Program((*words, f"/proc/self/fd/{archive_fd}"), libpq_environment(), pass_fds=(*descriptors, archive_fd))


def pg_restore_text_program(pg_restore: ClientProgram) -> Program:
    """Return pg_restore that turns the archive on its stdin into the SQL of a plain dump on its stdout."""
    return Program((pg_restore.path, "--format=custom", "--file=-"))


def pg_restore_rows_program(pg_restore: ClientProgram, table: TableName, encoding: str) -> Program:
    """Return pg_restore that writes the COPY command of one table, with its rows, out of the archive on its stdin.

    `encoding` is Python's name of the encoding that the archive's names are in.
    """
    words = (
        pg_restore.path,
        "--format=custom",
        "--data-only",
        f"--schema={os.fsdecode(table.schema.encode(encoding))}",
        f"--table={os.fsdecode(table.name.encode(encoding))}",
        "--file=-",
    )
    return Program(words)


def explain_pg_restore(finished: Finished) -> PermafrostError | None:
    """Return the error that the end of pg_restore, or of a psql that loads, means; None if it did it or is another."""
    name = finished.program.name
    if name not in ("pg_restore", "psql") or finished.returncode == 0:
        return None
    said = finished.stderr_tail.strip() or f"it exited with {finished.returncode} and printed nothing"
    return DatabaseError(f"{name} failed: {said}", hint=f"read {name}'s message, fix the cause, and restore again")
