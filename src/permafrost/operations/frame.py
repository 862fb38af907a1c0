"""Loads a snapshot's frame, a pg_dump archive, into an empty database: streamed, never in a file.

The archive is read from its head three times: for its table of contents, for everything but the materialized
views' data, and for that. The first and last passes stop early, as pg_restore has what it needs then.
"""

from __future__ import annotations

from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter
from permafrost.openpgp.sealing import explain_opening, open_program
from permafrost.operations.opening import OpenedRepository
from permafrost.postgres.archive import (
    explain_pg_restore,
    pg_restore_list_program,
    pg_restore_program,
    split_list,
    text_in_memory,
)
from permafrost.postgres.connection import connected
from permafrost.postgres.provision import analyze
from permafrost.processes import Finished, Pipeline, Program, ProgramFailedError
from permafrost.repository.objects import StoredObject, open_object
from permafrost.repository.reading import CheckedSnapshot

UNZSTD = Program(("zstd", "-d", "-q", "-c"))


def load_frame(
    repository: OpenedRepository, checked: CheckedSnapshot, conninfo: str, *, with_owners: bool, report: Reporter
) -> None:
    """Load the frame into the empty database that `conninfo` names, analyse it, refresh its materialized views.

    The object's bytes must have been checked. Raise `DatabaseError` at pg_restore's first error.
    """
    server_major = checked.manifest.database.server_version // 10000
    with connected(conninfo) as connection:
        server_major = max(server_major, connection.info.server_version // 10000)
    (index,) = checked.manifest.indices("frame")
    frame = checked.stored(index)
    contents = _pass(repository, frame, pg_restore_list_program(server_major)).decode()
    first, refreshes = split_list(contents)
    _restore_pass(repository, frame, conninfo, first, server_major, with_owners=with_owners, reads_all=True)
    report(Note("analyse"))
    with connected(conninfo) as connection:
        analyze(connection)
    if refreshes:
        report(Note("refresh materialized views"))
        _restore_pass(repository, frame, conninfo, refreshes, server_major, with_owners=with_owners, reads_all=False)


def _restore_pass(
    repository: OpenedRepository,
    frame: StoredObject,
    conninfo: str,
    entries: str,
    server_major: int,
    *,
    with_owners: bool,
    reads_all: bool,
) -> None:
    with text_in_memory(entries) as list_fd:
        program = pg_restore_program(conninfo, server_major=server_major, list_fd=list_fd, with_owners=with_owners)
        _pass(repository, frame, program, reads_all=reads_all)


def _pass(repository: OpenedRepository, frame: StoredObject, program: Program, *, reads_all: bool = False) -> bytes:
    """Run the archive through `program` and return what it wrote.

    Unless it `reads_all`, the programs before it are cut off as soon as it ends well, and how they end then
    means nothing; the object's bytes were compared with its name when it was opened.
    """
    chain = [open_program(repository.source.key, repository.home), UNZSTD, program]
    with open_object(repository.repository.layout, frame) as descriptor, Pipeline(chain, source=descriptor) as pipeline:
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
