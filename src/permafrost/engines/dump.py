"""engine = "dump": the whole database as one pg_dump archive per snapshot, sealed as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg

from permafrost.engines.contents import Counts, SnapshotContents
from permafrost.engines.context import RunContext
from permafrost.engines.facts import table_facts
from permafrost.events import Note, Progress
from permafrost.postgres.catalog import TableName, describe_database, is_standby, list_tables, schema_migrations_version
from permafrost.postgres.digest import TableContents, count_rows, digest_rows
from permafrost.postgres.left_out import relations_left_out
from permafrost.postgres.programs.dump_program import explain_pg_dump, note_on_version, pg_dump_program
from permafrost.postgres.snapshot import exported_snapshot, imported_snapshot
from permafrost.processes.program import Program
from permafrost.repository.sealed import put_sealed

_ZSTD = Program(("zstd", "-3", "-T0", "-q", "-c"))


@contextmanager
def dumped(run: RunContext) -> Iterator[SnapshotContents]:
    """Yield what the dump engine stored of the database; there is nothing to keep for the next run."""
    url = run.configuration.database.url
    with run.steps.step("fix one moment of the database"), exported_snapshot(url) as (connection, exported):
        left_out = relations_left_out(connection, run.left_out)
        description = describe_database(connection, run.left_out.schemas, left_out.values())
        tables = tuple(name for name in list_tables(connection) if not run.left_out.covers(name))
        schema_version = schema_migrations_version(connection)
        from permafrost.engines.media_list import read_media_list  # noqa: PLC0415 - numpy, which nothing else needs here

        media_list = read_media_list(run, connection)
        if said := note_on_version(description.server_major):
            run.report(Note(said))
        dump = pg_dump_program(
            url,
            snapshot=exported,
            server_major=description.server_major,
            is_standby=is_standby(connection),
            left_out=replace(run.left_out, tables=frozenset(left_out.values())),
        )
        with (
            run.steps.step("dump the database, compress and seal it"),
            run.times.of("dump"),
            _measuring(url, exported, tables, is_audited=run.is_audited) as measured,
        ):
            frame = put_sealed(
                run.layout,
                run.home,
                run.sealing,
                programs=(dump, _ZSTD),
                explain=explain_pg_dump,
                on_bytes=lambda size: run.report(Progress(size, None, "bytes")),
            )
            contents = measured.result()
    yield SnapshotContents(
        engine="dump",
        description=description,
        schema_version=schema_version,
        tables=table_facts(contents),
        sequences=(),
        objects=((frame, "frame"),),
        new_objects=frozenset({frame.name}),
        counts=Counts(rows_new=sum(table.rows for table in contents), rows_gone=0),
        media_list=media_list,
    )


@contextmanager
def _measuring(
    conninfo: str, exported: str, tables: tuple[TableName, ...], *, is_audited: bool
) -> Iterator[Future[tuple[TableContents, ...]]]:
    """Count (and digest) the rows of every table under the same snapshot, beside the block."""
    measure = digest_rows if is_audited else count_rows
    with imported_snapshot(conninfo, exported) as connection, ThreadPoolExecutor(1) as executor:
        future = executor.submit(lambda: tuple(measure(connection, table) for table in tables))
        try:
            yield future
        except BaseException:
            future.cancel()
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)
            raise
