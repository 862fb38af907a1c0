"""What a log snapshot contains besides logged rows: facts of the database, sequences, and the frame.

All of it is read on the connection that holds the snapshot, which has nothing else to do while workers read rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from permafrost.engines.context import RunContext
from permafrost.engines.frame_store import store_frame
from permafrost.engines.known_description import KnownDescription, fact_of
from permafrost.events import Note
from permafrost.postgres.building.sequences import SequenceValue, read_sequences
from permafrost.postgres.catalog import DatabaseDescription, describe_database, is_standby, schema_migrations_version
from permafrost.postgres.catalog_mark import catalog_mark
from permafrost.postgres.left_out import relations_left_out
from permafrost.postgres.locked_snapshot import HELD_LOCK_TIMEOUT_MS, LOCK_TIMEOUT_MS, LockedSnapshot
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.postgres.programs.dump_program import note_on_version, pg_dump_program
from permafrost.repository.objects import StoredObject


@dataclass(frozen=True, slots=True)
class Frame:
    """A stored frame. `digest` is of its bytes, `mark` of the catalog that pg_dump read; None where not known."""

    stored: StoredObject
    digest: str | None
    mark: str | None
    is_new: bool = False

    def fact(self) -> dict[str, str | None]:
        """Return what the state has to remember."""
        return {"object": self.stored.name, "digest": self.digest, "mark": self.mark}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A log snapshot less its logged rows."""

    description: DatabaseDescription
    schema_version: str | None
    sequences: tuple[SequenceValue, ...]
    frame: Frame
    known_description: Mapping[str, Any] | None
    """What the state has to remember of the description."""


def known_frame(fact: Mapping[str, str | None] | None, there: Mapping[str, int]) -> Frame | None:
    """Return the frame that the state remembers, None if it is not `there`, in the repository, with its size."""
    name = fact["object"] if fact else None
    if fact is None or name is None or name not in there:
        return None
    return Frame(StoredObject(name, there[name]), fact["digest"], fact.get("mark"))


@dataclass(frozen=True, slots=True)
class KnownSurroundings:
    """What the last run has left in the repository and in the state; with `is_idle`, nothing has been written since."""

    frame: Frame | None
    description: KnownDescription | None
    is_idle: bool = False

    def mark(self, connection: psycopg.Connection, logged: Sequence[int], left_out: Collection[int]) -> str | None:
        """Return the catalog's mark, without looking where nothing can have changed it."""
        if self.is_idle and self.description is not None:
            return self.description.mark
        return catalog_mark(connection, logged, left_out)


def read_surroundings(
    run: RunContext,
    snapshot: LockedSnapshot,
    tables: tuple[LoggedTable, ...],
    known: KnownSurroundings,
    *,
    is_last: bool,
) -> Surroundings:
    """Read the facts, and store the frame unless it is the one that is known.

    `is_last` makes pg_dump patient with locks of others.
    """
    connection = snapshot.connection
    with run.times.of("frame"):
        left_out = relations_left_out(connection, snapshot.left_out)
        mark = known.mark(connection, [table.oid for table in tables], left_out)
        if known.description is not None and mark is not None and mark == known.description.mark:
            description = known.description.now(connection)
        else:
            description = describe_database(connection, snapshot.left_out.schemas, left_out.values())
        remembered = fact_of(mark, description, snapshot.left_out, connection)
        schema_version = schema_migrations_version(connection)
        sequences = read_sequences(connection, left_out)
        if known.frame is not None and mark is not None and mark == known.frame.mark:
            return Surroundings(description, schema_version, sequences, known.frame, remembered)
        if said := note_on_version(description.server_major):
            run.report(Note(said))
        # pg_dump also locks what the holder does not (views, partitioned tables), so its last try is a patient one
        dump = pg_dump_program(
            run.configuration.database.url,
            snapshot=snapshot.name,
            server_major=description.server_major,
            is_standby=is_standby(connection),
            without_data=[table.name for table in tables] + [sequence.name for sequence in sequences],
            left_out=replace(snapshot.left_out, tables=frozenset(left_out.values())),
            encoding=connection.info.encoding,
            lock_timeout_ms=LOCK_TIMEOUT_MS if is_last else HELD_LOCK_TIMEOUT_MS,
        )
        last = known.frame
        before = (last.digest, last.stored) if last is not None and last.digest is not None else None
        stored, digest, is_new = store_frame(run, dump, before)
    return Surroundings(description, schema_version, sequences, Frame(stored, digest, mark, is_new), remembered)
