"""Where the rows of logged tables lie: the parts of a manifest's segments, found by object.

Nothing here needs numpy, so that a restore can check a manifest before that is loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from permafrost.errors import IntegrityError
from permafrost.repository.manifest import Manifest, Segment, Table


@dataclass(frozen=True, slots=True)
class ElementPlace:
    """Where an element's lines go: the table, the number of its first line, how many it has, of which segment."""

    table: Table
    first_line: int
    lines: int
    segment: tuple[int, int]


@dataclass(frozen=True, slots=True)
class LogMap:
    """Every element of every segment: bases by index, members of deltas by index and number."""

    bases: Mapping[int, ElementPlace]
    members: Mapping[int, Mapping[int, ElementPlace]]

    def where(self, is_wanted: Callable[[Table], bool]) -> LogMap:
        """Return the map of some tables only."""
        members = {
            index: own
            for index, parts in self.members.items()
            if (own := {number: place for number, place in parts.items() if is_wanted(place.table)})
        }
        return LogMap({index: place for index, place in self.bases.items() if is_wanted(place.table)}, members)


def check_log_manifest(manifest: Manifest) -> None:
    """Raise `IntegrityError` unless the manifest names each object's parts once, and as what they are."""
    log_map(manifest)


def log_map(manifest: Manifest) -> LogMap:
    """Return where everything lies; raise `IntegrityError` for indices that are not there or of another kind."""
    kinds = {stored.index: stored.kind for stored in manifest.objects}
    bases: dict[int, ElementPlace] = {}
    members: dict[int, dict[int, ElementPlace]] = defaultdict(dict)
    for table_number, table in enumerate(manifest.tables):
        for number, segment in enumerate(table.segments or ()):
            key = (table_number, number)
            line = 0
            for index, member, lines in _elements(segment):
                target = ElementPlace(table, line, lines, key)
                wanted = "base" if member is None else "delta"
                taken = index in bases if member is None else member in members[index]
                if kinds.get(index) != wanted or taken or lines < 0:
                    raise IntegrityError(f"the manifest names an object that is not a {wanted} of {table.name}")
                if member is None:
                    bases[index] = target
                else:
                    members[index][member] = target
                line += lines
    return LogMap(bases, dict(members))


def _elements(segment: Segment) -> Iterator[tuple[int, int | None, int]]:
    if segment.base is not None:
        yield segment.base[0], None, segment.base[1]
    yield from segment.deltas
