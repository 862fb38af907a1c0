"""What is known of one segment between runs: its chain, and its row versions as a packed body and a patch.

The body has the segment's rows as they were when it was packed. The patch has the pages on which rows have come or gone
since then, each with all that it has now. So a run reads and packs what has changed, not what there is. A patch that
has grown to an eighth of the segment becomes part of a new body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from permafrost.segments.body import pack_body, unpack_body
from permafrost.segments.chain import Chain, Outline, outline_of
from permafrost.segments.packing import pack_chain, pack_patch, unpack_chain, unpack_patch
from permafrost.segments.rows import NO_ROWS, KnownRows, Pages, merged, pages_of, with_pages
from permafrost.state_files import DamagedStateError

LARGEST_PATCH = 1 / 8
"""Of the segment's rows."""


@dataclass(frozen=True, slots=True)
class Body:
    """A packed body: one that was made just now, whose `hash` is b"", or one of the state, read when it is needed."""

    packed: Callable[[], bytes]
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class KnownSegment:
    """A segment as the last run left it. Its rows and its chain's gone lines are decoded only when they are needed."""

    scan_digest: bytes
    """Of the scan's raw answer: equal means that nothing changed."""
    row_count: int
    outline: Outline
    packed_chain: bytes
    packed_patch: bytes
    body: Body

    @classmethod
    def of(cls, chain: Chain, scan_digest: bytes, rows: KnownRows) -> KnownSegment:
        """Return a segment with this chain and these rows."""
        packed = pack_body(rows)
        return cls(scan_digest, len(rows), outline_of(chain), pack_chain(chain), b"", Body(lambda: packed))

    def chain(self) -> Chain:
        """Return its chain with the gone lines."""
        return unpack_chain(self.packed_chain)

    def rows(self) -> KnownRows:
        """Return its row versions with their lines; raise `DamagedStateError` if they are not as many as there were."""
        rows = with_pages(unpack_body(self.body.packed()), *unpack_patch(self.packed_patch))
        if len(rows) != self.row_count:
            raise DamagedStateError(f"a segment of {self.row_count} rows has {len(rows)}")
        return rows

    def rows_on(self, pages: Pages) -> KnownRows:
        """Return those of its row versions that lie on these pages."""
        patched_pages, patched = unpack_patch(self.packed_patch)
        unpatched = pages & ~patched_pages
        rows = unpack_body(self.body.packed(), unpatched) if unpatched.any() else NO_ROWS
        return merged(rows, patched.on(pages))

    def continued(
        self, chain: Chain, scan_digest: bytes, pages: Pages, rows: KnownRows, elsewhere: int
    ) -> KnownSegment:
        """Return the segment as it is after a change of these pages.

        `rows` are all that are on them now, and any others; so many more, which did not change, are `elsewhere`.
        """
        row_count = elsewhere + len(rows)
        most = LARGEST_PATCH * row_count
        is_changed = pages[pages_of(rows.places)]
        if not elsewhere and np.count_nonzero(is_changed) > most:
            return KnownSegment.of(chain, scan_digest, rows)
        patched_pages, patched = unpack_patch(self.packed_patch)
        patched = merged(patched.on(~pages), rows.of(is_changed))
        patched_pages = patched_pages | pages
        if len(patched) > most:
            if elsewhere:
                rows = with_pages(unpack_body(self.body.packed()), patched_pages, patched)
            return KnownSegment.of(chain, scan_digest, rows)
        return replace(
            self,
            scan_digest=scan_digest,
            row_count=row_count,
            outline=outline_of(chain),
            packed_chain=pack_chain(chain),
            packed_patch=pack_patch(patched_pages, patched),
        )
