"""Builds the manifest's tables and the snapshot's objects from what the log knows about segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from permafrost.engines.facts import table_facts
from permafrost.postgres.catalog import TableName
from permafrost.postgres.digest import TableContents
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.repository.manifest import Segment, Table
from permafrost.segments.chain import Outline
from permafrost.segments.worker import segments_of

Outlines = Mapping[tuple[int, int], Outline]
"""The outline of each segment's chain, by table oid and number."""


def objects_of_chains(outlines: Outlines) -> list[str]:
    """Return the names of the objects that the chains need, each once, in a steady order."""
    return list(dict.fromkeys(element.object_name for outline in outlines.values() for element in outline))


def manifest_tables(
    tables: Sequence[LoggedTable],
    outlines: Outlines,
    rows: Mapping[TableName, int],
    others: Sequence[TableContents],
    digests: Mapping[TableName, TableContents],
    index_of: Mapping[str, int],
) -> tuple[Table, ...]:
    """Return the manifest's tables, logged and others, in order of name.

    `rows` counts the logged tables' rows; `index_of` gives the index of each object by name.
    """
    logged = (
        Table(
            schema_name=table.name.schema,
            name=table.name.name,
            rows=rows[table.name],
            digest=digests[table.name].digest if table.name in digests else None,
            digest_without_generated=digests[table.name].digest_without_generated if table.name in digests else None,
            columns=table.columns,
            segments=tuple(_segment(outlines[table.oid, number], index_of) for number in segments_of(table)),
        )
        for table in tables
    )
    found = [*table_facts(others), *logged]
    return tuple(sorted(found, key=lambda table: (table.schema_name, table.name)))


def _segment(outline: Outline, index_of: Mapping[str, int]) -> Segment:
    base = None
    deltas = []
    for element in outline:
        index = index_of[element.object_name]
        if element.member is None:
            base = (index, element.lines)
        else:
            deltas.append((index, element.member, element.lines))
    return Segment(base=base, deltas=tuple(deltas))
