"""Compares what a folder or an object store holds with what a database's rows name: files missing, and files unnamed.

Rules:

1. First all that is held is listed, then the rows are read. What was uploaded in between is held by now, so a file that
   seems to be missing is looked for once more, and its row read once more.
2. A file that came within a day before the listing is no orphan: Mastodon stores it before it commits the row.
3. What is held is kept as numbers, 24 bytes a file: Python's keyed hash of each path, and of the row and name that it
   belongs to. Two of millions are the same once in a million times, and then one file is counted wrongly.
4. A small copy of another type than the list expects belongs to its row too. So do files of remote accounts that lie
   outside cache/, as old versions of Mastodon left them.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import psycopg

from permafrost.mastodon.media_paths import ATTACHMENTS, expected_files, unsettled_files

RECENT_S = 86_400.0
MOST_CANDIDATES = 1000
"""Files that seem to be missing are looked for again, unless there are more."""
PLACES = tuple(dict.fromkeys(attachment.folder for attachment in ATTACHMENTS))
_BATCH = 5000
_PATH = re.compile(r"((?:[a-z_]+/){2}[0-9]{3}(?:/[0-9]{3}){2,6}/)[^/]+/([^/]+)")
_STEM = re.compile(r"(.+)\.[A-Za-z0-9]{1,16}", re.DOTALL)
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that was listed; `modified_s` is a Unix time."""

    path: str
    size_bytes: int
    modified_s: float


@dataclass(frozen=True, slots=True)
class Counted:
    """A number of files, and their bytes."""

    files: int = 0
    size_bytes: int = 0

    def __add__(self, size_bytes: int) -> Counted:
        return Counted(self.files + 1, self.size_bytes + size_bytes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found. Orphans look like Mastodon's files and belong to no row; strays do not look like any."""

    held: Counted
    needed: int
    missing: int
    candidates: tuple[str, ...]
    """Some of those that are missing, to be looked for once more."""
    orphans: Counted
    strays: Counted

    def settled(self, missing: Collection[str]) -> Comparison:
        """Return it when of the candidates only these are still missing."""
        count = self.missing - len(self.candidates) + len(missing)
        return replace(self, missing=count, candidates=tuple(sorted(missing)))


class Census:
    """What is held. Add every file, then compare once."""

    def __init__(self, listed_at_s: float) -> None:
        self._recent_from_s = listed_at_s - RECENT_S
        self._paths, self._rows, self._sizes = array("q"), array("q"), array("q")
        self.held = self.strays = Counted()

    def add(self, file: HeldFile) -> None:
        """Count a file that was listed."""
        row = _row_of(file.path)
        if row is None:
            self.strays += file.size_bytes
            return
        self.held += file.size_bytes
        self._paths.append(hash(file.path))
        is_recent = file.modified_s >= self._recent_from_s
        self._rows.append(hash(row))
        self._sizes.append(-1 if is_recent else file.size_bytes)

    def compare(self, connection: psycopg.Connection) -> Comparison:
        """Compare with the rows, within a read-only transaction that sees one moment."""
        paths = np.frombuffer(self._paths, np.int64)
        paths.sort()
        named, needed, missing, candidates = array("q"), 0, 0, list[str]()
        for batch in _batches(_expected(connection)):
            found = _among(np.fromiter(map(hash, batch), np.int64, len(batch)), paths)
            lacking = [path for path, is_found in zip(batch, found, strict=True) if not is_found]
            needed, missing = needed + len(batch), missing + len(lacking)
            candidates += lacking[: MOST_CANDIDATES - len(candidates)]
            named.extend(hash(row) for row in _rows_of(batch))
        for batch in _batches(unsettled_files(connection)):
            named.extend(hash(row) for row in _rows_of(batch))
        orphans = self._orphans(np.frombuffer(named, np.int64))
        return Comparison(self.held, needed, missing, tuple(candidates), orphans, self.strays)

    def _orphans(self, named: _Numbers) -> Counted:
        sizes = np.frombuffer(self._sizes, np.int64)
        is_orphan = (sizes >= 0) & ~_among(np.frombuffer(self._rows, np.int64), np.unique(named))
        return Counted(int(is_orphan.sum()), int(sizes[is_orphan].sum()))


def still_expected(connection: psycopg.Connection, paths: Iterable[str]) -> frozenset[str]:
    """Return those of the paths that the rows still name, in a transaction of its own moment."""
    asked = frozenset(paths)
    return asked.intersection(_expected(connection)) if asked else asked


def _expected(connection: psycopg.Connection) -> Iterator[str]:
    for attachment in ATTACHMENTS:
        for path, _ in expected_files(connection, attachment):
            yield path


def _batches(paths: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(paths, _BATCH)):
        yield batch


def _rows_of(paths: Iterable[str]) -> Iterator[str]:
    """Yield what the originals among the paths belong to: their small copies have the same name."""
    for path in paths:
        if "/original/" in path and (row := _row_of(path)) is not None:
            yield row


def _row_of(path: str) -> str | None:
    """Return the row and the name without extension that a file belongs to, None if it is not at one of our paths."""
    match = _PATH.fullmatch(path)
    if match is None or not path.startswith(PLACES):
        return None
    folder, name = match.groups()
    stem = _STEM.fullmatch(name)
    return folder + (stem[1] if stem is not None else name)


def _among(numbers: _Numbers, ordered: _Numbers) -> npt.NDArray[np.bool_]:
    """Return which of the numbers are among those in order."""
    if not len(ordered):
        return np.zeros(len(numbers), np.bool_)
    places = np.searchsorted(ordered, numbers)
    places[places == len(ordered)] = 0
    return np.asarray(ordered[places] == numbers)
