"""Before a run: what of the state still holds for the tables as they are now, and what has to be forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from permafrost.postgres.identity import ServerIdentity
from permafrost.postgres.logged import LoggedTable
from permafrost.segments.state import SegmentState
from permafrost.segments.worker import segments_of


def reason_to_forget_everything(state: SegmentState, identity: ServerIdentity) -> str:
    """Return why no row version that the state knows can be trusted to be the same now, '' if they can."""
    earlier = state.fact("identity")
    if earlier is None:
        return "the state knows nothing yet"
    if not identity.continues(ServerIdentity(**earlier)):
        return "the server's history does not go on where the last run left it"
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


def remember(state: SegmentState, identity: ServerIdentity) -> None:
    """Note where in the server's history the state now is."""
    state.set_fact("identity", asdict(identity))
