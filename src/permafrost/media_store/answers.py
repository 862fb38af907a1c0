"""What came of asking for a file, and what an answer's headers say of it."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto, unique

MOST_UNKNOWN_BYTES = 64 << 20
"""How large a file may be whose size the database does not know: a small copy of another one."""
LONGEST_WAIT_S = 3600.0
_ANY_TYPE = frozenset(("", "application/octet-stream", "binary/octet-stream"))
_RELATED = {"audio": ("audio", "video"), "video": ("video", "audio"), "image": ("image",)}
_ALSO = {"application/ogg": "audio", "application/mp4": "video"}
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_STRONG = re.compile(r'"[!#-~]{1,200}"', re.ASCII)


@unique
class Outcome(Enum):
    """What came of it."""

    FETCHED = auto()
    """The file is in its place, whole."""
    ABSENT = auto()
    """There is none at that address."""
    CLOSED = auto()
    """Reading it needs keys."""
    BUSY = auto()
    """The store asks for patience."""
    FAILED = auto()
    """No whole answer came; it may the next time."""
    UNFIT = auto()
    """What is served is not what the database speaks of."""
    REFUSED = auto()
    """The address, or where it leads, may not be asked."""
    STOPPED = auto()
    """This program ends."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: its path in the store and below the folder, and the size that the database knows.

    `part` names the unfinished file; `etag` is what the store called the bytes that are in it, empty if there are none.
    """

    path: str
    size_bytes: int | None
    part: str
    etag: str = ""
    url: str | None = None
    """Where to ask, if not below the base: an address with a signature."""

    @property
    def most_bytes(self) -> int:
        """How large it may be."""
        return MOST_UNKNOWN_BYTES if self.size_bytes is None else self.size_bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking for a file."""

    wanted: Wanted
    outcome: Outcome
    reason: str = ""
    size_bytes: int = 0
    """Of the file, if it was fetched."""
    sha256: str = ""
    received_bytes: int = 0
    """How many bytes came, of files that did not become whole too."""
    etag: str = ""
    """What the store calls the bytes that were left in the part, if they can be added to."""
    wait_s: float | None = None
    """For how long the store asks to be left alone."""


def strong_etag(text: str | None) -> str:
    """Return the ETag if it stands for exactly these bytes (RFC 9110, 8.8.1), otherwise an empty text."""
    return text if text is not None and _STRONG.fullmatch(text) else ""


def retry_after_s(text: str | None, now: datetime | None = None) -> float | None:
    """Return what the header Retry-After asks for (RFC 9110, 10.2.3), at most an hour; None if it says nothing."""
    if text is None:
        return None
    if re.fullmatch("[0-9]{1,9}", text.strip(), re.ASCII):
        return min(float(text), LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(0.0, (aware - (now or datetime.now(UTC))).total_seconds()), LONGEST_WAIT_S)


def continues_at(content_range: str | None) -> tuple[int, int] | None:
    """Return where a part of a file begins, and the size of the whole; None if the header does not say so."""
    match = _RANGE.fullmatch(content_range or "")
    if match is None:
        return None
    first, last, whole = map(int, match.groups())
    return (first, whole) if first <= last == whole - 1 else None


def type_fault(path: str, content_type: str | None) -> str:
    """Return what is wrong with the type for a file of that name, an empty text if it may be one.

    An error page that is served as if it were the file is the usual case; a store that knows no types is no fault.
    """
    served = (content_type or "").partition(";")[0].strip().lower()
    expected, _ = mimetypes.guess_type(path)
    if served in _ANY_TYPE or served == expected:
        return ""
    family = _ALSO.get(served, served.partition("/")[0])
    if expected is None:
        is_page = family == "text" or served in ("application/json", "application/xml", "application/xhtml+xml")
        return f"it is served as {served[:60]}" if is_page else ""
    wanted = expected.partition("/")[0]
    return "" if family in _RELATED.get(wanted, (wanted,)) else f"it is served as {served[:60]}, and not as {expected}"
