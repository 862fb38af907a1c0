"""Loads a snapshot's frame, a pg_dump archive, into an empty database, and has rows loaded in between.

The archive is never in a file on a disk. A small one, as every log snapshot has, is held in memory, so that
pg_restore can work in parallel; a large one is streamed from its head as often as it takes: for its table of
contents, for everything but the materialized views' data, and for that. Passes that pg_restore ends early are cut
off then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter
from permafrost.openpgp.sealing import explain_opening, open_program
from permafrost.operations.opening import OpenedRepository
from permafrost.postgres.archive import (
    LoadWish,
    bytes_in_memory,
    explain_pg_restore,
    pg_restore_list_program,
    pg_restore_program,
    split_list,
)
from permafrost.postgres.connection import connected
from permafrost.postgres.provision import analyze
from permafrost.processes import Finished, Pipeline, Program, ProgramFailedError
from permafrost.repository.objects import StoredObject, open_object
from permafrost.repository.reading import CheckedSnapshot

UNZSTD = Program(("zstd", "-d", "-q", "-c"))
_HELD_IN_MEMORY_BYTES = 16 << 20
"""Sealed; a schema of this size has some 100,000 tables. Unsealed it may be ten times as much."""


@dataclass(frozen=True, slots=True)
class _Frame:
    repository: OpenedRepository
    stored: StoredObject


def load_frame(
    repository: OpenedRepository,
    checked: CheckedSnapshot,
    conninfo: str,
    *,
    with_owners: bool,
    jobs: int,
    load_rows: Callable[[], None] | None,
    report: Reporter,
) -> None:
    """Load the frame into the empty database that `conninfo` names, analyse it, refresh its materialized views.

    With `load_rows`, it is called once the tables are there and before their indexes, keys and triggers are. The
    object's bytes must have been checked. Raise `DatabaseError` at pg_restore's first error.
    """
    with connected(conninfo) as connection:
        server_major = max(checked.manifest.database.server_version, connection.info.server_version) // 10000
    (index,) = checked.manifest.indices("frame")
    frame = _Frame(repository, checked.stored(index))
    first, refreshes = split_list(
        _pass(frame, pg_restore_list_program(server_major)).decode("utf-8", "surrogateescape")
    )
    wish = LoadWish(conninfo, server_major, with_owners)
    if load_rows is None:
        _load_streamed(frame, wish, first, report)
    else:
        _load_around(frame, wish, first, jobs, load_rows, report)
    if refreshes:
        report(Note("refresh materialized views"))
        with _listed(refreshes) as list_fd:
            _pass(frame, pg_restore_program(wish, list_fd))


def _load_streamed(frame: _Frame, wish: LoadWish, entries: str, report: Reporter) -> None:
    with _listed(entries) as list_fd:
        _pass(frame, pg_restore_program(wish, list_fd), reads_all=True)
    _analyze(wish, report)


def _load_around(
    frame: _Frame, wish: LoadWish, entries: str, jobs: int, load_rows: Callable[[], None], report: Reporter
) -> None:
    with _seekable(frame) as archive_fd:
        for section in ("pre-data", "data", "post-data"):
            if section == "post-data":
                report(Note("indexes, keys and triggers"))
            in_parallel = archive_fd is not None and section == "post-data"
            this = replace(wish, archive_fd=archive_fd, jobs=jobs if in_parallel else 1)
            with _listed(entries) as list_fd:
                program = pg_restore_program(this, list_fd, section)
                if archive_fd is None:
                    _pass(frame, program, reads_all=section == "data")
                else:
                    _load_from_memory(program)
            if section == "pre-data":
                report(Note("rows"))
                load_rows()
            if section == "data":
                _analyze(wish, report)


def _analyze(wish: LoadWish, report: Reporter) -> None:
    report(Note("analyse"))
    with connected(wish.conninfo) as connection:
        analyze(connection)


@contextmanager
def _listed(entries: str) -> Iterator[int]:
    with bytes_in_memory([entries.encode("utf-8", "surrogateescape")]) as descriptor:
        yield descriptor


@contextmanager
def _seekable(frame: _Frame) -> Iterator[int | None]:
    """Yield a descriptor of the whole archive in memory, None if it is too large for that."""
    if frame.stored.size_bytes > _HELD_IN_MEMORY_BYTES:
        yield None
        return
    chain = [open_program(frame.repository.source.key, frame.repository.home), UNZSTD]
    with (
        open_object(frame.repository.repository.layout, frame.stored) as sealed,
        Pipeline(chain, source=sealed) as pipeline,
        bytes_in_memory(pipeline.chunks()) as descriptor,
    ):
        pipeline.finish(_explain)
        yield descriptor


def _load_from_memory(program: Program) -> None:
    with Pipeline([program]) as pipeline:
        for _ in pipeline.chunks():
            pass
        pipeline.finish(_explain)


def _pass(frame: _Frame, program: Program, *, reads_all: bool = False) -> bytes:
    """Run the archive through `program` and return what it wrote.

    Unless it `reads_all`, the programs before it are cut off as soon as it ends well, and how they end then
    means nothing; the object's bytes were compared with its name when it was opened.
    """
    chain = [open_program(frame.repository.source.key, frame.repository.home), UNZSTD, program]
    with (
        open_object(frame.repository.repository.layout, frame.stored) as descriptor,
        Pipeline(chain, source=descriptor) as pipeline,
    ):
        output = b"".join(pipeline.chunks())
        if reads_all:
            pipeline.finish(_explain)
        elif error := explain_pg_restore(pipeline.wait()[-1]):
            raise error
    return output


def _explain(finished: Finished) -> PermafrostError | None:
    if finished.program.name == "pg_restore":
        return explain_pg_restore(finished)
    if finished.program.name == "zstd" and finished.returncode > 0:
        return ProgramFailedError(finished)
    return explain_opening(finished)
