"""Which pages of a segment may hold other rows than at the last run, and comparing only those. Pure; numpy arrays.

A page that is not changed has the same row versions as then (docs/engine.md, "Only what has changed"). Past the end of
the file nothing is left, whatever was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from permafrost.segments.rows import Difference, KnownRows, Pages, RowVersions, compare, pages_of

FEW = 1 / 3
"""If more than this part of a segment's pages is changed, reading all of them takes less time."""


@dataclass(frozen=True, slots=True)
class FilePages:
    """The pages of a table's file that may have changed: `listed` (ascending), and all from `limit` on."""

    listed: npt.NDArray[np.int64]
    limit: int | None

    @classmethod
    def of(cls, blocks: bytes, limit: int | None) -> FilePages:
        """Return them from what the server says: 8 bytes a page, big-endian, in any order."""
        return cls(np.sort(np.frombuffer(blocks, ">i8").astype(np.int64)), limit)

    def of_segment(self, first_page: int, segment_pages: int, pages: int) -> ChangedPages:
        """Return those of a segment, which could have `segment_pages` pages and has `pages` now."""
        low, high = np.searchsorted(self.listed, [first_page, first_page + segment_pages])
        is_changed = np.zeros(segment_pages, bool)
        is_changed[self.listed[low:high] - first_page] = True
        if self.limit is not None:
            is_changed[max(self.limit - first_page, 0) :] = True
        return ChangedPages(is_changed, first_page, pages)


@dataclass(frozen=True, slots=True)
class ChangedPages:
    """The pages of a segment that may have changed: `is_changed` has one cell a page, also for pages past its end."""

    is_changed: Pages
    first_page: int
    pages: int

    def __bool__(self) -> bool:
        return bool(self.is_changed.any())

    @property
    def count(self) -> int:
        """How many of the pages that exist are changed."""
        return int(np.count_nonzero(self.is_changed[: self.pages]))

    @property
    def are_few(self) -> bool:
        """Whether reading them alone is worth it."""
        return self.count <= FEW * self.pages

    def ranges(self) -> Sequence[tuple[int, int]]:
        """Return the changed pages that exist as ranges, each from its first page to the page after its last."""
        here = self.is_changed[: self.pages]
        edges = np.flatnonzero(np.diff(here, prepend=False, append=False)) + self.first_page
        return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    def read_pages(self) -> Pages:
        """Return the pages whose rows are looked at: the changed ones, and all past the end."""
        is_read = self.is_changed.copy()
        is_read[self.pages :] = True
        return is_read

    def compare(self, known: KnownRows, seen: RowVersions) -> Difference:
        """Return what happened, where `seen` are the rows on the changed pages; those on other pages stayed."""
        is_read = self.read_pages()
        if not is_read[pages_of(seen.places)].all():
            raise ValueError("a scan returned a row version of another page")
        was_read = is_read[pages_of(known.places)]
        if was_read.all():
            return compare(known, seen)
        read = known.of(was_read)
        difference = compare(read, seen)
        if not len(difference.gone):
            return replace(difference, stayed=known)
        stayed = ~was_read
        stayed[was_read] = ~np.isin(read.places, difference.gone_places, assume_unique=True)
        return replace(difference, stayed=known.of(stayed))

    def overlooked(self, difference: Difference) -> int:
        """Return how many rows came or went, as a scan of the whole segment found, on pages that are not changed."""
        pages = pages_of(np.concatenate([difference.gone_places, difference.new.places]))
        return int(np.count_nonzero(~self.is_changed[pages]))
