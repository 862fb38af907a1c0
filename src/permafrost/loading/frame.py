"""A snapshot's frame, a pg_dump archive, loaded into an empty database part by part.

The archive is never in a file on a disk. A small one, as every log snapshot has, is held in memory, so that
pg_restore can work in parallel; a large one is streamed from its head as often as it takes. Passes that pg_restore
ends early are cut off then.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cached_property, partial

import psycopg

from permafrost.errors import DatabaseError
from permafrost.events import Reporter
from permafrost.loading.comparison import Tally
from permafrost.loading.entries import bare_statements, holds_data, table_of_rows
from permafrost.loading.logins import Login, entries_by_login
from permafrost.loading.memory_file import bytes_in_memory
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.refused_tables import RefusedTables, stop_at_a_refused_row
from permafrost.postgres.building.foreign_keys import UncheckedKeys, add_foreign_keys, check_foreign_keys
from permafrost.postgres.building.guarded import Refused, run_guarded
from permafrost.postgres.building.index_builds import build_index, read_index_script
from permafrost.postgres.building.loading import analyze, tables_by_size
from permafrost.postgres.connection import connected, server_major
from permafrost.postgres.failures import Failed, FailureSink, is_the_servers_end, stop_at_first
from permafrost.postgres.programs.archive_contents import CONSTRAINT, Contents, Step, read_contents
from permafrost.postgres.programs.archive_header import HEAD_BYTES, archive_major
from permafrost.postgres.programs.clients import archive_reader
from permafrost.postgres.programs.restore_program import (
    SECTIONS,
    LoadRequest,
    explain_pg_restore,
    pg_restore_list_program,
    pg_restore_program,
    pg_restore_script_program,
    psql_program,
)
from permafrost.postgres.programs.sql_script import closed_to_commands, known_to_server
from permafrost.postgres.workers import Workers
from permafrost.processes.pipeline import Pipeline
from permafrost.processes.program import Program

_HELD_IN_MEMORY_BYTES = 16 << 20
"""Sealed; a schema of this size has some 100,000 tables. Unsealed it may be ten times as much."""


class FrameLoader:
    """Loads the parts of a snapshot's frame into an empty database; made by `frame_loader`.

    `archive_fd` is the whole archive in memory, None if it is too large for that. Every method raises `DatabaseError`
    at the first error; or, once `on_failure` is another sink, hands what fails to that and loads the rest, entry by
    entry where pg_restore has refused them together. What each has loaded is counted, so that in the end no entry of
    the archive is missing.
    """

    def __init__(
        self, snapshot: OpenedSnapshot, request: LoadRequest, archive_fd: int | None, jobs: int, without: Sequence[str]
    ) -> None:
        self._snapshot = snapshot
        self._request = request
        self._archive_fd = archive_fd
        self._jobs = jobs
        self._without = without
        self._loaded: Counter[int] = Counter()
        self._logins: Sequence[Login] = (Login(request.conninfo),)
        self.on_failure: FailureSink = stop_at_first

    @cached_property
    def contents(self) -> Contents:
        """The archive's table of contents, cut into steps."""
        pre_data, data, post_data, verbose = (
            self._run(pg_restore_list_program(self._request.pg_restore, self._archive_fd, section=section)).decode(
                "utf-8", "surrogateescape"
            )
            for section in (*SECTIONS, None)
        )
        return read_contents(pre_data, data, post_data, verbose, self._without)

    def load_all(self) -> None:
        """Load everything that comes before ANALYZE, in the archive's order."""
        before = (Step.DEFINITIONS, Step.DATA, Step.INDEXES, Step.EARLY, Step.FOREIGN_KEYS, Step.LATE)
        self._load(*before, reads_all=True)

    def load_definitions(self) -> None:
        """Load what tables' rows need: types, functions, tables."""
        self._load(Step.DEFINITIONS)

    def load_data(self, logins: Sequence[Login], on_refused: RefusedTables = stop_at_a_refused_row) -> None:
        """Load the rows, large objects and sequences' values that are in the frame itself; rows with their login.

        Rows of a table that no login knows are loaded with the first one, which can do the least. What else looks at
        rows later, checks that are added after them and foreign keys, uses the same logins. A table of which a row is
        refused goes to `on_refused`, and is then empty.
        """
        self._logins = logins
        rows: frozenset[int] = frozenset()
        if not logins[0].is_only:
            entries = self.contents.of_kind(Step.DATA, 0, "TABLE DATA")
            for login, numbers in entries_by_login("TABLE DATA", entries, logins, unknown=logins[0]).items():
                self._load_entries(numbers, conninfo=login.conninfo, reads_all=True, on_refused=on_refused)
                rows |= numbers
        self._load_entries(self.contents.ids(Step.DATA) - rows, reads_all=True, on_refused=on_refused)

    def load_indexes(self, report: Reporter) -> None:
        """Load indexes and all else that comes before the foreign keys, several at a time."""
        if script := self._script_of(Step.INDEXES):
            found = read_index_script(self._request.conninfo, script)
            done = Tally(len(found.builds), "indexes", report)
            with Workers(lambda: found.session(self._request.conninfo), self._jobs) as workers:
                task = partial(build_index, on_failure=self.on_failure)
                workers.do_all([done.after(partial(task, build=build)) for build in found.builds])
        checks = self._load_late_checks()
        self._load_entries(self.contents.ids(Step.EARLY) - checks, jobs=self._jobs)

    def _load_late_checks(self) -> frozenset[int]:
        """Add the checks that are added after the rows, and look at all of them; return which those were."""
        checks: frozenset[int] = frozenset()
        if not self._logins[0].is_only:
            entries = self.contents.of_kind(Step.EARLY, CONSTRAINT, "CHECK CONSTRAINT")
            for login, numbers in entries_by_login("CHECK CONSTRAINT", entries, self._logins[1:]).items():
                self._load_entries(numbers, conninfo=login.conninfo)
                checks |= numbers
        return checks

    def analyze_and_check_keys(self, report: Reporter) -> None:
        """Collect the planner's statistics of every table, and add the foreign keys, every row of theirs checked.

        Statistics come first: the checks are joins of whole tables.
        """
        keys: Sequence[UncheckedKeys] = ()
        if script := self._script_of(Step.FOREIGN_KEYS):
            keys = add_foreign_keys(self._request.conninfo, script, self.on_failure)
        self._analyze_and(keys, report)

    def analyze(self, report: Reporter) -> None:
        """Collect the planner's statistics of every table."""
        self._analyze_and((), report)

    def _analyze_and(self, keys: Sequence[UncheckedKeys], report: Reporter) -> None:
        with connected(self._request.conninfo) as connection:
            tables = tables_by_size(connection)
        done = Tally(len(tables) + len(keys), "tables", report)
        with Workers(lambda: connected(self._request.conninfo), self._jobs) as workers:
            workers.do_all(
                [
                    *(done.after(partial(analyze, table=table)) for table in tables),
                    *(done.after(partial(self._check_keys, keys=unchecked)) for unchecked in keys),
                ]
            )

    def _check_keys(self, connection: psycopg.Connection, keys: UncheckedKeys) -> None:
        """Check them as the table's owner, as planning a query runs code of the tables in it."""
        login = next(
            (candidate for candidate in self._logins if keys.name in candidate.owners and candidate.can_empty), None
        )
        if login is None:
            check_foreign_keys(connection, keys, self.on_failure)
            return
        with connected(login.conninfo) as owner:
            check_foreign_keys(owner, keys, self.on_failure)

    def load_the_rest(self) -> Sequence[Refused]:
        """Load what follows the foreign keys, publications and labels too; return the statements that were refused."""
        self._load(Step.LATE, jobs=self._jobs)
        return self.load_guarded()

    def load_guarded(self) -> Sequence[Refused]:
        """Load publications, subscriptions and security labels; return the statements that were refused."""
        script = self._script_of(Step.GUARDED)
        return run_guarded(self._request.conninfo, script, "cannot add publications and labels") if script else ()

    def refresh_materialized_views(self) -> Sequence[Refused]:
        """Fill the materialized views that were filled; ANALYZE has to come before. Return those that could not be.

        What a view holds is computed, and a query that does not work today is no reason to have no database.
        """
        script = self._script_of(Step.REFRESHES)
        doing = "cannot refresh the materialized views"
        return run_guarded(self._request.conninfo, script, doing, (psycopg.Error,)) if script else ()

    def load_event_triggers(self) -> Sequence[Refused]:
        """Load the event triggers, after which nothing may be done in the database; return what was refused."""
        script = self._script_of(Step.EVENT_TRIGGERS)
        return run_guarded(self._request.conninfo, script, "cannot add the event triggers") if script else ()

    def check_all_loaded(self) -> None:
        """Raise `DatabaseError` unless each entry of the archive was loaded, or left out, exactly once."""
        wrong = [
            entry.line
            for entry in self.contents.entries
            if self._loaded[entry.dump_id] != (self.contents.steps[entry.dump_id] is not Step.LEFT_OUT)
        ]
        if wrong:
            raise DatabaseError(
                f"{len(wrong)} entries of the snapshot's archive were not loaded exactly once, such as {wrong[0]}",
                hint="this is a defect of permafrost: please report it; until then restore.py restores the snapshot",
            )

    def _script_of(self, step: Step) -> bytes:
        """Return the SQL of a step's entries, in the dump's encoding, b"" if there are none; they count as loaded."""
        entries = self.contents.listed(step)
        if not entries:
            return b""
        self._loaded.update(self.contents.ids(step))
        return self._script(entries)

    def _script(self, entries: str) -> bytes:
        """Return the SQL of the listed entries."""
        with _listed(entries) as list_fd:
            return b"".join(
                self._known(self._stream(pg_restore_script_program(self._request, list_fd, self._archive_fd)))
            )

    def _load(self, *steps: Step, jobs: int = 1, reads_all: bool = False) -> None:
        """Run pg_restore over the entries of some steps."""
        self._load_entries(self.contents.ids(*steps), jobs=jobs, reads_all=reads_all)

    def _load_entries(
        self,
        numbers: frozenset[int],
        *,
        conninfo: str = "",
        jobs: int = 1,
        reads_all: bool = False,
        on_refused: RefusedTables = stop_at_a_refused_row,
    ) -> None:
        """Run pg_restore over some entries, with another connection string if one is given; they count as loaded."""
        if not numbers:
            return
        self._loaded.update(numbers)
        entries = self.contents.lines(numbers)
        request = replace(
            self._request, conninfo=conninfo or self._request.conninfo, archive_fd=self._archive_fd, jobs=jobs
        )
        if self.on_failure is stop_at_first:
            self._restore(request, entries, reads_all=reads_all)
            return
        request = replace(request, is_one_transaction=True)
        try:
            self._restore(request, entries, reads_all=reads_all)
        except DatabaseError as error:
            if is_the_servers_end(error):
                raise
            for line in entries.splitlines(keepends=True):
                self._load_alone(request, line, on_refused)

    def _load_alone(self, request: LoadRequest, line: str, on_refused: RefusedTables) -> None:
        """Run pg_restore over one entry, in a transaction; what fails goes to `on_failure`, or to `on_refused`."""
        try:
            self._restore(request, line)
        except DatabaseError as error:
            if is_the_servers_end(error):
                raise
            table = table_of_rows(line, self._snapshot.manifest.tables)
            if table is not None:
                on_refused(table, error)
            else:
                statement = b"" if holds_data(line) else bare_statements(self._script(line))
                self.on_failure(Failed(statement, error))

    def _restore(self, request: LoadRequest, entries: str, *, reads_all: bool = False) -> None:
        with _listed(entries) as list_fd:
            if request.is_understood:
                self._run(pg_restore_program(request, list_fd), reads_all=reads_all)
            else:
                self._restore_by_psql(request, list_fd, reads_all=reads_all)

    def _restore_by_psql(self, request: LoadRequest, list_fd: int, *, reads_all: bool) -> None:
        """Load all of the list, or nothing: psql takes the end of a truncated script for the end of the rows.

        The script commits in its last line, so that one that breaks off has done nothing.
        """
        whole = replace(request, is_one_transaction=True)
        program = pg_restore_script_program(whole, list_fd, request.archive_fd)
        script = closed_to_commands(self._known(self._stream(program, reads_all=reads_all)))
        with closing(script), Pipeline([psql_program(request)], source=script) as pipeline:
            for _ in pipeline.chunks():
                pass  # what functions return, such as new values of sequences
            pipeline.finish(explain_pg_restore)

    def _known(self, script: Iterator[bytes]) -> Iterator[bytes]:
        return known_to_server(script, self._request.server_major, self._request.pg_restore.major)

    def _run(self, program: Program, *, reads_all: bool = False) -> bytes:
        """Run a program that reads the archive, and return what it wrote."""
        return b"".join(self._stream(program, reads_all=reads_all))

    def _stream(self, program: Program, *, reads_all: bool = False) -> Iterator[bytes]:
        """Yield what a program that reads the archive writes; it has ended well when nothing more comes."""
        if self._archive_fd is None:
            with self._snapshot.unsealed_frame(program, reads_all=reads_all) as pipeline:
                yield from pipeline.chunks()
            return
        with Pipeline([program]) as pipeline:
            yield from pipeline.chunks()
            pipeline.finish(explain_pg_restore)


@contextmanager
def frame_loader(
    snapshot: OpenedSnapshot,
    conninfo: str,
    *,
    with_owners: bool,
    with_tablespaces: bool,
    jobs: int,
    without: Sequence[str] = (),
) -> Iterator[FrameLoader]:
    """Yield the loader of the snapshot's frame into the empty database that `conninfo` names.

    Its pg_restore can read the archive, and is newer than the server only if no other can. The extensions `without`,
    and what depends on them, are left out.
    """
    with connected(conninfo) as connection:
        major = server_major(connection)

    def loader(oldest: int, archive_fd: int | None) -> FrameLoader:
        request = LoadRequest(conninfo, archive_reader(oldest, major), major, with_owners, with_tablespaces)
        return FrameLoader(snapshot, request, archive_fd, jobs, without)

    if snapshot.stored(snapshot.frame_index).size_bytes > _HELD_IN_MEMORY_BYTES:
        yield loader(snapshot.archive_major(), None)
        return
    with bytes_in_memory(_archive(snapshot)) as archive_fd:
        yield loader(archive_major(os.pread(archive_fd, HEAD_BYTES, 0)), archive_fd)


def _archive(snapshot: OpenedSnapshot) -> Iterator[bytes]:
    with snapshot.unsealed_frame() as pipeline:
        yield from pipeline.chunks()


@contextmanager
def _listed(entries: str) -> Iterator[int]:
    with bytes_in_memory([entries.encode("utf-8", "surrogateescape")]) as descriptor:
        yield descriptor
