"""Lines of the catalog, which is sealed, and of the list, which is not. Pure.

A line of the catalog says where a file's bytes are, or that a path has none any more; a later line counts:

    OBJECT <tab> OFFSET <tab> SIZE <tab> SHA256 <tab> MODE <tab> MTIME <tab> PATH
    - <tab> PATH

PATH is below Mastodon's media folder, with `%` and bytes outside of printable ASCII as %XX. A line of the list is
NAME, a tab, SIZE; or NAME alone for an object that is needed no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from permafrost.errors import IntegrityError
from permafrost.repository.layout import object_path
from permafrost.repository.media_list import ListedRow, NeededFile

_SAFE = "/!#$&'()*+,-.:;<=>?@[]^_`{|}~ "
_HASH, _NUMBER = rb"([0-9a-f]{64})", rb"(0|[1-9][0-9]{0,18})"
_FILE = re.compile(rb"\t".join((_HASH, _NUMBER, _NUMBER, _HASH, rb"([0-7]{1,4})", rb"(-?[0-9]{1,19})", rb"([ -~]+)")))
_GONE = re.compile(rb"-\t([ -~]+)")
_LISTED = re.compile(rb"([0-9a-f]{64})(?:\t(0|[1-9][0-9]{0,18}))?")


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file: its path, where its bytes are, what they come to, and its permissions and time of change."""

    path: bytes
    object_name: str
    offset: int
    size_bytes: int
    sha256: str
    mode: int
    mtime_ns: int

    def line(self) -> bytes:
        """Return its line of the catalog."""
        text = (
            f"{self.object_name}\t{self.offset}\t{self.size_bytes}\t{self.sha256}\t{self.mode:o}\t{self.mtime_ns}\t"
            f"{quote_from_bytes(self.path, safe=_SAFE)}\n"
        )
        return text.encode("ascii")


def gone_line(path: bytes) -> bytes:
    """Return the line of a path that has no file any more."""
    return f"-\t{quote_from_bytes(path, safe=_SAFE)}\n".encode("ascii")


def parse_line(line: bytes) -> SealedFile | bytes:
    """Return the file of a catalog's line, or the path that is gone; raise `IntegrityError` if it is neither."""
    match = _FILE.fullmatch(line)
    if match is not None:
        name, offset, size, sha256, mode, mtime, path = match.groups()
        return SealedFile(
            path=unquote_to_bytes(path),
            object_name=name.decode("ascii"),
            offset=int(offset),
            size_bytes=int(size),
            sha256=sha256.decode("ascii"),
            mode=int(mode, 8),
            mtime_ns=int(mtime),
        )
    gone = _GONE.fullmatch(line)
    if gone is None:
        raise IntegrityError(f"the catalog of the sealed media has a line that is none: {line[:100]!r}")
    return unquote_to_bytes(gone[1])


def listed_line(name: str, size_bytes: int | None) -> bytes:
    """Return an object's line of the list; without a size, of one that is needed no more."""
    return (name if size_bytes is None else f"{name}\t{size_bytes}").encode("ascii") + b"\n"


def parse_listed(line: bytes) -> ListedRow:
    """Return what a line of the list says, in the words of the media list; raise `IntegrityError` if it is none."""
    match = _LISTED.fullmatch(line)
    if match is None:
        raise IntegrityError(f"the list of sealed media has a line that is none: {line[:100]!r}")
    path = object_path(match[1].decode("ascii"))
    return ListedRow(path, () if match[2] is None else (NeededFile(path, int(match[2])),))
