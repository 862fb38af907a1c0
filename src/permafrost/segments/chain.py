"""A segment's chain: its base and its deltas, and how the next change continues it. Pure.

The rows of a segment are all lines of its elements, in order, less all lines that any element calls gone. A new
delta may take the place of the last few, as the levels of dump(8) do, so that a chain stays short and a row is
sent again about once per level. It then holds the rows born since the first covered line that are still there, and
the lines gone since then of those older than it; lines born and gone in between vanish. Only the tail's numbers
change, so older snapshots, which name the finer deltas, stay right.

Deltas merge by the clock: an epoch of the first level is an hour, of the second a day, then 24 and 576 days. The
first delta after an epoch that had many covers all that is of lower levels at its segment's tail. So all segments
merge in the same run, and the delta objects before it, which hold changes of many segments each, are all let go
together (docs/decisions/0034).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from permafrost.segments.rows import Difference, KnownRows, RowVersions, Uint32, merged

EPOCHS = (60, 24 * 60, 24 * 24 * 60, 24 * 24 * 24 * 60)
"""How long an epoch of each level is, in minutes."""
WORTH_MERGING = 6
"""An epoch with fewer deltas than this is left to the next level: with hourly runs nothing is merged each hour, and a
segment that changes once a day is not sent again each day."""
_LAST_HOUR = 60
MAXIMUM_LINES = 1 << 31


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a chain: where its bytes lie, and which lines it brought and called gone.

    `member` is the number in a delta object, None for a base object. The first element is the segment's base,
    whichever it is in: a small base is kept in a delta object, so that small tables do not create an object each.
    """

    object_name: str
    member: int | None
    level: int
    first_line: int
    lines: int
    size_bytes: int
    """Of its text, uncompressed: the new lines and the gone numbers."""
    gone: Uint32
    minute: int = 0
    """When its run was, by `minute_of`."""

    @property
    def next_line(self) -> int:
        """The number after its last line."""
        return self.first_line + self.lines


Chain = tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class ElementOutline:
    """What a manifest says of an element: where its bytes lie, and how many lines it brought."""

    object_name: str
    member: int | None
    lines: int


Outline = tuple[ElementOutline, ...]
"""A chain without its gone lines, of which a large server's may hold tens of millions."""


def outline_of(chain: Chain) -> Outline:
    """Return the chain's outline."""
    return tuple(ElementOutline(element.object_name, element.member, element.lines) for element in chain)


@dataclass(frozen=True, slots=True)
class NewBase:
    """Read the whole segment again as its base."""


@dataclass(frozen=True, slots=True)
class NewDelta:
    """Append a delta after `kept`, dropping the rest of the chain.

    `gone` are the lines that it calls gone; `rows` are the row versions to read, in order of place, which take the
    lines from `first_line` on.
    """

    kept: Chain
    level: int
    first_line: int
    gone: Uint32
    rows: RowVersions
    older: KnownRows
    """The rows that keep their lines."""


def minute_of(moment: datetime) -> int:
    """Return the minute that determines the epoch; epochs begin an hour before their day does, in UTC.

    Retention keeps the last snapshot of a day. So with hourly runs that is the one that merges the day's deltas, and
    needs none of the fine ones.
    """
    return int(moment.timestamp()) // 60 + _LAST_HOUR


def is_merging(chain: Chain, minute: int) -> bool:
    """Return whether a delta in a run at that minute takes the place of others, whose rows lie on any page."""
    return _covered(chain, minute)[0] < len(chain)


def plan(chain: Chain, difference: Difference, minute: int, elsewhere: int = 0) -> NewBase | NewDelta:
    """Return how the chain continues after `difference`, which is not empty, in a run at that minute.

    The difference may leave out rows that stayed, which are `elsewhere` many, unless the chain is merging.

    A new base is due when there is none, or when more lines of the segment would be gone than are left: what is kept
    and read in vain stays below half. Rows that only came are no reason, however many: they are as good in a delta.
    """
    if not chain or _mostly_gone(chain, difference, elsewhere) or chain[-1].next_line >= MAXIMUM_LINES:
        return NewBase()
    covered_from, level = _covered(chain, minute)
    kept = chain[:covered_from]
    first_line = chain[covered_from].first_line if covered_from < len(chain) else chain[-1].next_line
    is_older = difference.stayed.lines < first_line
    stayed = difference.stayed
    again = RowVersions(stayed.places[~is_older], stayed.xmins[~is_older])
    gone = np.concatenate([difference.gone, *(element.gone for element in chain[covered_from:])])  # a line goes once
    return NewDelta(
        kept=kept,
        level=level,
        first_line=first_line,
        gone=np.sort(gone[gone < first_line]).astype(np.uint32),
        rows=merged(again, difference.new),
        older=stayed.of(is_older) if len(again) else stayed,
    )


def _mostly_gone(chain: Chain, difference: Difference, elsewhere: int) -> bool:
    left = elsewhere + len(difference.stayed) + len(difference.new)
    return chain[-1].next_line + len(difference.new) - left > left


def _covered(chain: Chain, minute: int) -> tuple[int, int]:
    """Return from which element on the next delta covers, and its level; the base (element 0) is never covered.

    An epoch that is not the present one has ended, be it earlier or, after a clock was put back, later.
    """
    covered_from, level, start = len(chain), 0, len(chain)
    for higher, epoch in enumerate(EPOCHS, 1):
        while start > 1 and chain[start - 1].level < higher:
            start -= 1
        ended = Counter(element.minute // epoch for element in chain[start:])
        del ended[minute // epoch]
        if max(ended.values(), default=0) >= WORTH_MERGING:
            covered_from, level = start, higher
    return covered_from, level


def rows_after_base(seen: RowVersions) -> KnownRows:
    """Return the rows of a segment whose base was just read: lines from 0 in order of place."""
    return KnownRows(seen.places, seen.xmins, np.arange(len(seen), dtype=np.uint32))


def rows_after_delta(planned: NewDelta) -> KnownRows:
    """Return the rows of a segment once the planned delta is stored."""
    numbers = np.arange(planned.first_line, planned.first_line + len(planned.rows), dtype=np.uint32)
    return merged(planned.older, KnownRows(planned.rows.places, planned.rows.xmins, numbers))
