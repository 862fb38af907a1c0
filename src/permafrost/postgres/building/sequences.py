"""Values of sequences. They are not rows and change all the time, so they are in the manifest, not in the frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import database_errors
from permafrost.postgres.failures import FailureSink, failures_to, stop_at_first


@dataclass(frozen=True, slots=True)
class SequenceValue:
    """A sequence, its last value, and whether that was handed out already."""

    name: TableName
    last_value: int
    is_called: bool


def read_sequences(connection: psycopg.Connection, without: Collection[int] = ()) -> tuple[SequenceValue, ...]:
    """Return the values of all sequences of the database's own, in order of name, as they are now.

    Those whose oids are in `without` are left out.

    Sequences know no snapshots: a value may be newer than the snapshot, never older, as with pg_dump.
    """
    with database_errors("cannot read the sequences"):
        found = {
            TableName(schema, name): value
            for schema, name, value in connection.execute(
                """SELECT n.nspname, c.relname, pg_sequence_last_value(c.oid)
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
                  AND n.nspname <> 'information_schema' AND c.oid <> ALL(%s::oid[])
                  AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
                  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                                  AND e.deptype = 'e')
                ORDER BY 1, 2""",
                (list(without),),
            )
        }
        asked = _asked_for(connection, [name for name, value in found.items() if value is None])
    return tuple(
        asked[name] if value is None else SequenceValue(name, value, is_called=True) for name, value in found.items()
    )


def _asked_for(connection: psycopg.Connection, names: Sequence[TableName]) -> Mapping[TableName, SequenceValue]:
    """Return the values of sequences that have not been called, of which `pg_sequence_last_value` says nothing.

    To read a sequence as a table takes the server five times as long as that function does.
    """
    if not names:
        return {}
    selects = [
        sql.SQL("SELECT {}::int, last_value, is_called FROM {}").format(sql.Literal(index), name.identifier())
        for index, name in enumerate(names)
    ]
    rows = connection.execute(sql.SQL(" UNION ALL ").join(selects))
    return {names[index]: SequenceValue(names[index], value, is_called) for index, value, is_called in rows}


def set_sequences(
    connection: psycopg.Connection, values: Sequence[SequenceValue], on_failure: FailureSink = stop_at_first
) -> None:
    """Give every sequence its value; one that cannot have it goes to `on_failure`."""
    for value in values:
        name = sql.Literal(value.name.identifier().as_string(connection))
        command = sql.SQL("SELECT pg_catalog.setval({}::regclass, {}, {});").format(
            name, value.last_value, value.is_called
        )
        statement = command.as_bytes(connection)
        with failures_to(on_failure, statement), database_errors(f"cannot set the sequence {value.name}", statement):
            connection.execute(statement)
