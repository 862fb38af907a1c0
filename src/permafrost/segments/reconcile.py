"""Before a run: which parts of the state are still valid for the tables as they are, and which must be discarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields

import psycopg

from permafrost.postgres.history_mark import Mark, has_mark
from permafrost.postgres.identity import ServerIdentity
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.segments.state import SegmentState
from permafrost.segments.worker import segments_of


def reason_to_forget_everything(state: SegmentState, identity: ServerIdentity, connection: psycopg.Connection) -> str:
    """Return why no row version that the state knows can be trusted to be the same now, '' if they can.

    `connection` is to the server that `identity` was read from.
    """
    facts, mark = state.fact("identity"), state.fact("mark")
    if facts is None:
        return "this is the first backup"
    if facts.keys() != {field.name for field in fields(ServerIdentity)}:
        return "the state was written by another version of permafrost"
    earlier = ServerIdentity(**facts)
    if not identity.may_continue(earlier):
        return "the server's history does not continue where the last run left it"
    if mark is not None:
        return "" if has_mark(connection, mark) else "the server's history does not contain the last run"
    if not identity.is_same_life(earlier):
        return "the server was restarted, and no mark of the last run proves that its history is still the same"
    return ""


def forget_what_changed(state: SegmentState, tables: Sequence[LoggedTable]) -> None:
    """Forget tables that are gone or have another signature, and segments past a table's end."""
    known = state.signatures()
    for oid in known.keys() - {table.oid for table in tables}:
        state.forget_table(oid)
    for table in tables:
        if known.get(table.oid) != table.signature:
            state.forget_table(table.oid)
            state.set_signature(table.oid, table.signature)
        state.forget_segments(table.oid, len(segments_of(table)))


def remember(state: SegmentState, identity: ServerIdentity, mark: Mark | None) -> None:
    """Note where in the server's history the state now is, and the mark that this run left in it."""
    state.set_fact("identity", asdict(identity))
    state.set_fact("mark", mark)
