"""pg_dump as a program in a pipeline: its arguments, and what its exit means.

An archive is not compressed by pg_dump: zstd does that better and on the other core.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Literal

from permafrost.errors import DatabaseError, PermafrostError
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import LockConflictError, conninfo_for, libpq_environment
from permafrost.postgres.left_out import NOTHING, LeftOut
from permafrost.postgres.programs.archive_header import archive_major_of
from permafrost.postgres.programs.clients import ClientProgram, client_of, client_program
from permafrost.processes.program import Finished, Program

DumpForm = Literal["custom", "plain"]

LOCK_WAIT_MS = 60_000
_NAMES_A_PATTERN = 400  # names have at most 63 bytes, arguments at most 128 KiB (execve(2), MAX_ARG_STRLEN)


def pg_dump_program(
    conninfo: str,
    *,
    snapshot: str,
    server_major: int,
    is_standby: bool,
    without_data: Iterable[TableName] = (),
    left_out: LeftOut = NOTHING,
    encoding: str = "utf-8",
    lock_timeout_ms: int = LOCK_WAIT_MS,
) -> Program:
    """Return pg_dump that writes the database, as `snapshot` sees it, to its stdout.

    Nothing of what is `left_out` is in it. The definitions of the tables and sequences `without_data` are, and neither
    their rows nor their values. `encoding` is Python's name of the database's encoding. It gives up after
    `lock_timeout_ms` if it cannot get a lock.
    """
    words = [
        client_program("pg_dump", server_major),
        "--format=custom",
        "--compress=0",
        "--no-password",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={lock_timeout_ms}",
        f"--dbname={conninfo_for(conninfo)}",
    ]
    words += [f"--exclude-table-data={pattern}" for pattern in _patterns(without_data, encoding)]
    words += [f"--exclude-table={pattern}" for pattern in _patterns(sorted(left_out.tables), encoding)]
    schemas = [os.fsdecode(_quoted(schema).encode(encoding)) for schema in sorted(left_out.schemas)]
    words += [f"--exclude-schema={pattern}" for pattern in schemas]
    if is_standby:
        words.append("--no-unlogged-table-data")  # nobody can read them there
    return Program(tuple(words), libpq_environment())


def note_on_version(server_major: int) -> str | None:
    """Return what to know of a pg_dump whose archive the server's own pg_restore cannot read, None if it can."""
    major = client_of("pg_dump", server_major).major
    if archive_major_of(major) <= server_major:
        return None
    return (
        f"pg_dump {major} is used, as none for PostgreSQL {server_major} is installed: "
        f"to restore this snapshot, install postgresql-client-{major} or newer there as well"
    )


def pg_dump_file_program(pg_dump: ClientProgram, conninfo: str, form: DumpForm) -> Program:
    """Return pg_dump that writes a whole database in `form` to its stdout, as pg_dump by itself would make it."""
    words = (pg_dump.path, f"--format={form}", "--no-password", f"--dbname={conninfo}")
    return Program(words, libpq_environment())


def _patterns(names: Iterable[TableName], encoding: str) -> Iterator[str]:
    """Yield patterns that fit exactly these names, many in one, as pg_dump asks the server twice for each pattern.

    Double quotes stop the magic, and a bar outside of them is that of regular expressions (manual of psql,
    "Patterns"). The program reads a pattern as bytes in the database's encoding, whatever ours is.
    """
    by_schema: dict[str, list[str]] = {}
    for name in names:
        by_schema.setdefault(name.schema, []).append(_quoted(name.name))
    for schema, tables in by_schema.items():
        for start in range(0, len(tables), _NAMES_A_PATTERN):
            some = "|".join(tables[start : start + _NAMES_A_PATTERN])
            yield os.fsdecode(f"{_quoted(schema)}.{some}".encode(encoding))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def explain_pg_dump(finished: Finished) -> PermafrostError | None:
    """Return the error that a pg_dump's end means, None if it wrote everything or is another program."""
    if finished.program.name != "pg_dump" or finished.returncode == 0:
        return None
    said = finished.stderr_tail.strip() or f"it exited with {finished.returncode} and printed nothing"
    unchanged, hint = "all existing snapshots", "read pg_dump's message; the next run starts cleanly"
    if "LOCK TABLE" in said and "timeout" in said:  # --lock-wait-timeout is a statement_timeout while it locks
        hint = (
            "another session holds or wants an exclusive lock on a table (a migration?); try again when it has finished"
        )
        return LockConflictError(f"pg_dump could not lock a table in time: {said}", unchanged=unchanged, hint=hint)
    if "permission denied" in said:
        hint = "grant the role read access: GRANT pg_read_all_data TO the_role"
    return DatabaseError(f"pg_dump did not finish: {said}", unchanged=unchanged, hint=hint)
