"""pg_dump and pg_restore as streams: a custom archive, never in a file.

The archive is not compressed by pg_dump: zstd does that better and on the other core. Its table of contents
comes first, so that pg_restore can list it, or load what follows no data, from the head of a stream.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from permafrost.errors import DatabaseError, PermafrostError
from permafrost.postgres.binaries import client_program
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import LockConflictError, conninfo_for
from permafrost.processes import Finished, Program

LOCK_WAIT_MS = 60_000
_NAMES_A_PATTERN = 400  # names have at most 63 bytes, arguments at most 128 KiB (execve(2), MAX_ARG_STRLEN)
_REFRESH = " MATERIALIZED VIEW DATA "
_FOREIGN_KEY = re.compile(r"\d+; \d+ \d+ FK CONSTRAINT ")
_COMMENT = re.compile(r"\d+; \d+ \d+ COMMENT ")
_INDEX = re.compile(r"\d+; \d+ \d+ (?:INDEX|CONSTRAINT) ")
_NO_INDEX_BUILT = re.compile(r"\d+; \d+ \d+ INDEX ATTACH ")


def libpq_environment() -> dict[str, str]:
    """Return the PG* variables that we were given; libpq and its programs honour them."""
    return {name: value for name, value in os.environ.items() if name.startswith("PG")}


def pg_dump_program(
    conninfo: str,
    *,
    snapshot: str,
    server_major: int,
    is_standby: bool,
    without_data: Iterable[TableName] = (),
    encoding: str = "utf-8",
    lock_timeout_ms: int = LOCK_WAIT_MS,
) -> Program:
    """Return pg_dump that writes the database, as `snapshot` sees it, to its stdout.

    The definitions of the tables and sequences `without_data` are in it, and neither their rows nor their values.
    `encoding` is Python's name of the database's encoding. It gives up after `lock_timeout_ms` if it cannot get a lock.
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
    if is_standby:
        words.append("--no-unlogged-table-data")  # nobody can read them there
    return Program(tuple(words), libpq_environment())


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


# The archive's header (PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c, WriteHead): "PGDMP", three bytes of
# version, sizes of int and offset, format, compression, then the time in seven ints of sign and four bytes.
_TIME_BYTES = 7 * 5
_TIME_STARTS = {(1, 14): 16, (1, 15): 12, (1, 16): 12}


def mask_archive_time(head: bytes) -> bytes | None:
    """Return the beginning of an archive with its time of making blanked, None if its version is not known.

    So two archives of the same contents are the same bytes. `head` must hold at least 64 bytes.
    """
    start = _TIME_STARTS.get((head[5], head[6])) if head[:5] == b"PGDMP" and len(head) >= 64 else None
    if start is None or head[8] != 4:
        return None
    return head[:start] + bytes(_TIME_BYTES) + head[start + _TIME_BYTES :]


def explain_pg_dump(finished: Finished) -> PermafrostError | None:
    """Return the error that a pg_dump's end means, None if it wrote everything or is another program."""
    if finished.program.name != "pg_dump" or finished.returncode == 0:
        return None
    said = finished.stderr_tail.strip() or f"it ended with {finished.returncode} and said nothing"
    unchanged, hint = "every snapshot that was there before", "read what pg_dump said; the next run starts cleanly"
    if "LOCK TABLE" in said and "timeout" in said:  # --lock-wait-timeout is a statement_timeout while it locks
        hint = "another session holds or waits for a table exclusively (a migration?); try again when it has ended"
        return LockConflictError(f"pg_dump could not lock a table in time: {said}", unchanged=unchanged, hint=hint)
    if "permission denied" in said:
        hint = "grant the role what reading needs: GRANT pg_read_all_data TO the_role"
    return DatabaseError(f"pg_dump did not finish: {said}", unchanged=unchanged, hint=hint)


Section = Literal["pre-data", "data", "post-data"]


@dataclass(frozen=True, slots=True)
class LoadWish:
    """How pg_restore is to load: into which database, which entries, with owners and grants or without.

    `jobs` above 1 needs `archive_fd`, a seekable file; without one the archive comes on stdin.
    """

    conninfo: str
    server_major: int
    with_owners: bool
    archive_fd: int | None = None
    jobs: int = 1


def pg_restore_program(wish: LoadWish, list_fd: int, section: Section | None = None) -> Program:
    """Return pg_restore that loads the entries listed in `list_fd`, of one `section` or of all.

    It stops at the first error. `list_fd` is an open descriptor (pg_restore --use-list).
    """
    words = [
        client_program("pg_restore", wish.server_major),
        "--format=custom",
        "--exit-on-error",
        "--no-password",
        f"--use-list=/proc/self/fd/{list_fd}",
        f"--dbname={wish.conninfo}",
    ]
    if section is not None:
        words.append(f"--section={section}")
    if not wish.with_owners:
        words += ["--no-owner", "--no-acl"]
    if wish.archive_fd is not None:
        words.append(f"--jobs={wish.jobs}")
    return _reading(words, wish.archive_fd, list_fd)


def pg_restore_script_program(wish: LoadWish, list_fd: int, archive_fd: int | None) -> Program:
    """Return pg_restore that writes the SQL of the entries listed in `list_fd` to its stdout, in the dump's encoding.

    The archive is `archive_fd`, or comes on stdin.
    """
    words = [
        client_program("pg_restore", wish.server_major),
        "--format=custom",
        f"--use-list=/proc/self/fd/{list_fd}",
        "--file=-",
    ]
    if not wish.with_owners:
        words += ["--no-owner", "--no-acl"]
    return _reading(words, archive_fd, list_fd)


def pg_restore_list_program(server_major: int, archive_fd: int | None = None) -> Program:
    """Return pg_restore that writes the table of contents of the archive in `archive_fd`, or on its stdin."""
    return _reading([client_program("pg_restore", server_major), "--format=custom", "--list"], archive_fd)


def _reading(words: list[str], archive_fd: int | None, *descriptors: int) -> Program:
    """Return the program with an archive to read: a file's name lets it seek, where it needs to."""
    if archive_fd is None:
        return Program(tuple(words), libpq_environment(), pass_fds=descriptors)
    return Program((*words, f"/proc/self/fd/{archive_fd}"), libpq_environment(), pass_fds=(*descriptors, archive_fd))


def explain_pg_restore(finished: Finished) -> PermafrostError | None:
    """Return the error that a pg_restore's end means, None if it loaded everything or is another program."""
    if finished.program.name != "pg_restore" or finished.returncode == 0:
        return None
    said = finished.stderr_tail.strip() or f"it ended with {finished.returncode} and said nothing"
    return DatabaseError(f"pg_restore failed: {said}", hint="read what pg_restore said, mend it, and restore again")


@dataclass(frozen=True, slots=True)
class Contents:
    """An archive's table of contents in parts, each a list for `pg_restore --use-list`, "" if there is nothing in it.

    `early` is everything up to the first foreign key, `late` what follows the last, `refreshes` the materialized
    views' data. `foreign_keys` is "" where something else lies among them, which they may depend on; they are then
    in `early`, with everything else.
    """

    early: str
    foreign_keys: str
    late: str
    refreshes: str

    @property
    def indexes(self) -> str:
        """What needs the rows of one table and nothing else that comes after rows."""
        return _lines([line for line in self.early.splitlines() if _builds_index(line)])

    @property
    def early_but_indexes(self) -> str:
        """What of `early` is left to do after `indexes`, all that comes before rows included."""
        return _lines([line for line in self.early.splitlines() if not _builds_index(line)])

    @property
    def all_but_refreshes(self) -> str:
        """Everything that can be loaded in the archive's order before ANALYZE."""
        return self.early + self.foreign_keys + self.late


def split_contents(listed: str) -> Contents:
    """Return the parts of a table of contents.

    A materialized view's data is a REFRESH, which PostgreSQL plans badly before ANALYZE (on busy Mastodon servers it
    took days), so it is run last. Foreign keys follow all tables, indexes and other constraints; comments on them
    come in between and can wait.
    """
    entries = [line for line in listed.splitlines() if line and not line.startswith(";")]
    refreshes = [line for line in entries if _REFRESH in line]
    others = [line for line in entries if _REFRESH not in line]
    keys = [place for place, line in enumerate(others) if _FOREIGN_KEY.match(line)]
    if not keys:
        return Contents(_lines(others), "", "", _lines(refreshes))
    among = [line for line in others[keys[0] : keys[-1]] if not _FOREIGN_KEY.match(line)]
    if any(not _COMMENT.match(line) for line in among):
        return Contents(_lines(others), "", "", _lines(refreshes))
    return Contents(
        _lines(others[: keys[0]]),
        _lines([others[place] for place in keys]),
        _lines([*among, *others[keys[-1] + 1 :]]),
        _lines(refreshes),
    )


def _builds_index(line: str) -> bool:
    return bool(_INDEX.match(line)) and not _NO_INDEX_BUILT.match(line)


def _lines(entries: list[str]) -> str:
    return "".join(f"{entry}\n" for entry in entries)


@contextmanager
def bytes_in_memory(chunks: Iterable[bytes]) -> Iterator[int]:
    """Yield a descriptor of a file that exists only in memory and holds `chunks`, to be read from its start."""
    descriptor = os.memfd_create("permafrost", os.MFD_CLOEXEC)
    try:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
