"""What the last media list said, in the state folder: the ids of its rows, and the database's moment that it is of.

A cache: without it, or with one that does not belong to the published list, the whole is listed again. The ids, eight
bytes a row, are read only if something has changed.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from permafrost.mastodon.columns import SCHEMA
from permafrost.mastodon.media_paths import ATTACHMENTS
from permafrost.mastodon.media_rows import Ids
from permafrost.postgres.identity import ServerIdentity
from permafrost.postgres.loggable_tables import LoggedTable
from permafrost.segments.worker import segments_of

STATE_FILE = "media-list.npz"
_HEAD = "head"
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class ListHead:
    """When a list was read, and at which place in which server's history."""

    listed_at: str
    whole_at: datetime
    """When all of it was read from the database."""
    folded_at: datetime
    """When it became one part, by that or from its parts."""
    xmin: int
    """That of the snapshot that it was read with: what a later one sees of it is unchanged, or has a later xmin."""
    identity: ServerIdentity

    def document(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self) | {
            "whole_at": self.whole_at.isoformat(),
            "folded_at": self.folded_at.isoformat(),
        }


def known_head(folder: Path, digest: str) -> ListHead | None:
    """Return what the state folder knows of the list whose index has this SHA-256, None if it is not about that one."""
    try:
        with (folder / STATE_FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            head = json.loads(bytes(arrays[_HEAD]))
        if head.pop("index") != digest:
            return None
        identity = ServerIdentity(**head["identity"])
        whole_at, folded_at = (datetime.fromisoformat(head[key]) for key in ("whole_at", "folded_at"))
        return ListHead(head["listed_at"], whole_at, folded_at, head["xmin"], identity)
    except _UNREADABLE:
        return None


def known_ids(folder: Path) -> Mapping[str, Ids] | None:
    """Return the ids of the rows that the last list names, by folder; None if they cannot be read."""
    try:
        with (folder / STATE_FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if name != _HEAD}
    except _UNREADABLE:
        return None


def remember_list(folder: Path, head: ListHead, ids: Mapping[str, Ids], digest: str) -> None:
    """Record the list that is published now, by its index's SHA-256."""
    file = folder / STATE_FILE
    temporary = file.with_name(f".{STATE_FILE}.new")
    content = json.dumps({**head.document(), "index": digest}).encode()
    arrays: dict[str, np.ndarray] = {_HEAD: np.frombuffer(content, np.uint8), **ids}
    with temporary.open("wb") as writing:
        np.savez(writing, allow_pickle=False, **arrays)
    temporary.replace(file)


@dataclass(frozen=True, slots=True)
class ListedTables:
    """The tables whose rows have media, as the segment log reads them: how many segments each has, by oid.

    A run notes them with the list that was current then (`fact`). A table that is still as large, and of which no
    segment has changed since, says what it said; a truncated one is smaller.
    """

    segments: Mapping[int, int]
    names: Mapping[int, str]

    @classmethod
    def among(cls, tables: Sequence[LoggedTable]) -> ListedTables:
        """Return those of these tables whose rows may have media."""
        names = {attachment.table for attachment in ATTACHMENTS}
        chosen = [table for table in tables if table.name.schema == SCHEMA and table.name.name in names]
        return cls(
            {table.oid: len(segments_of(table)) for table in chosen}, {table.oid: table.name.name for table in chosen}
        )

    def fact(self, listed_at: str) -> dict[str, Any]:
        """Return what the log's state has to remember."""
        return {"listed_at": listed_at, "segments": {str(oid): count for oid, count in self.segments.items()}}

    def unchanged(self, fact: Mapping[str, Any] | None, changed: frozenset[int]) -> Unchanged | None:
        """Return which tables are as they were when the list of `fact` was current, None if that is not known."""
        if fact is None:
            return None
        before: Mapping[str, int] = fact["segments"]
        same = {oid for oid, count in self.segments.items() if before.get(str(oid)) == count} - changed
        is_all = len(same) == len(self.segments) == len(before)
        return Unchanged(fact["listed_at"], frozenset(self.names[oid] for oid in same), is_all)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Tables that are as they were when the list that was read at `listed_at` was current; `is_all`: all of them."""

    listed_at: str
    tables: frozenset[str]
    is_all: bool
