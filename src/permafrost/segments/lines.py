"""Lines of COPY text, one row each, and dropping those that are gone. Pure.

COPY text escapes newlines (manual, COPY, "Text Format"), so a newline always ends a row. Lines are counted and cut
in whole chunks by numpy; a chunk without a gone line passes through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from permafrost.errors import IntegrityError
from permafrost.segments.rows import Uint32

_NEWLINE = 10
_NUMBERS = re.compile(rb"(?:[0-9]{1,10}\n)*+")
_LONGEST_LINE_BYTES = 1 << 30
"""PostgreSQL reads no longer one (MaxAllocSize)."""


class LineFilter:
    """Passes text on without the lines whose numbers are in `gone`, across any number of chunks.

    The first line that is fed has the number `first_line`; `gone` ascends.
    """

    def __init__(self, first_line: int, lines: int, gone: Uint32) -> None:
        """Expect exactly `lines` lines."""
        low, high = np.searchsorted(gone, [first_line, first_line + lines])
        self._doomed = gone[low:high].astype(np.int64) - first_line
        self._lines = lines
        self._seen = 0
        self._is_ended = True
        self._open_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the pieces of the next chunk that survive; raise `IntegrityError` if there are too many lines."""
        if not chunk:
            return
        here = chunk.count(b"\n")
        self._is_ended = chunk[-1] == _NEWLINE
        if self._seen + here + (not self._is_ended) > self._lines:
            raise IntegrityError(f"a stored segment has more lines than its {self._lines}")
        self._open_bytes = len(chunk) - chunk.rfind(b"\n") - 1 + (0 if here else self._open_bytes)
        if self._open_bytes > _LONGEST_LINE_BYTES:
            raise IntegrityError("a stored segment has a line that is longer than any row can be")
        if len(self._doomed):
            yield from _without(chunk, self._seen, here, self._doomed)
        else:
            yield chunk
        self._seen += here

    def finish(self) -> None:
        """Raise `IntegrityError` unless exactly the expected lines were fed."""
        if self._seen != self._lines or not self._is_ended:
            raise IntegrityError(f"a stored segment has {self._seen} lines instead of {self._lines}")


def surviving_lines(chunks: Iterable[bytes], first_line: int, lines: int, gone: Uint32) -> Iterator[bytes]:
    """Yield the text of `chunks` without the gone lines; see `LineFilter`."""
    kept = LineFilter(first_line, lines, gone)
    for chunk in chunks:
        yield from kept.feed(chunk)
    kept.finish()


def _without(chunk: bytes, seen: int, here: int, doomed: npt.NDArray[np.int64]) -> Iterator[bytes]:
    """Yield the pieces of a chunk that hold no doomed line.

    Its first line, or the rest of one that began earlier, has the number `seen`; `here` lines end in it.
    """
    low, high = np.searchsorted(doomed, [seen, seen + here + 1])
    if low == high:
        yield chunk
        return
    ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == _NEWLINE) + 1
    view = memoryview(chunk)
    start = 0
    for number in doomed[low:high].tolist():
        index = number - seen
        line_start = int(ends[index - 1]) if index else 0
        line_end = int(ends[index]) if index < here else len(chunk)
        if line_start > start:
            yield bytes(view[start:line_start])
        start = line_end
    if start < len(chunk):
        yield bytes(view[start:])


def gone_text(gone: Uint32) -> bytes:
    """Return line numbers as text, one a line, as a delta's `gone` member holds them."""
    return "".join(f"{number}\n" for number in gone.tolist()).encode("ascii")


def parse_gone(text: bytes, limit: int) -> Uint32:
    """Return the line numbers in a `gone` member; raise `IntegrityError` unless they ascend and are below `limit`."""
    if _NUMBERS.fullmatch(text) is None:
        raise IntegrityError("a delta's gone lines are not numbers, one per line")
    numbers = np.fromstring(text, dtype=np.int64, sep="\n")
    if len(numbers) and (numbers[0] < 0 or numbers[-1] >= limit or not bool(np.all(numbers[1:] > numbers[:-1]))):
        raise IntegrityError("a delta's gone lines are out of range or out of order")
    return numbers.astype(np.uint32)
