"""Takes in a list of media: its signature and every part are checked, and it becomes a table.

The media list of the repository becomes a table of needs, and so does the list of sealed objects where a vault gets
sealed media. The key list of a server whose media are in an object store becomes a table of what to fetch. They have
the same shape (`ListForm`).

In small steps: a list of millions of rows is continued by later turns. What was taken in is noted, so that of a list
that has grown only the new parts are read; one that was begun again is a new generation, and what it does not name is
forgotten once it is whole. Nothing that the history keeps depends on it but how long deleted files stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Protocol

import zstandard

from permafrost.errors import IntegrityError, SpaceError
from permafrost.findings import FindingKind, FindingSink
from permafrost.openpgp.signing import Verifier
from permafrost.repository.media_list import (
    INDEX_FILE,
    KEY_LIST,
    MAXIMUM_INDEX_BYTES,
    MEDIA_LIST,
    KeyListIndex,
    ListedRow,
    ListPart,
    MediaListIndex,
    SignedMediaList,
    lines_of,
    parse_key_row,
    parse_row,
    parse_signed_list,
)
from permafrost.sealed_media.layout import INDEX_FILE as SEALED_INDEX
from permafrost.sealed_media.layout import LIST
from permafrost.sealed_media.lines import parse_listed
from permafrost.small_files import NotAFileError, open_regular, opened_folder, read_small
from permafrost.vault.arrivals import Records
from permafrost.vault.media.needed import LIST_SNAPSHOT

MOST_ROWS = 20_000_000
_BATCH = 500
_PIECE_BYTES = 1 << 20
_MOST_WINDOW_BYTES = 1 << 27


class ListTable(Protocol):
    """The table that a list becomes."""

    def add_rows(self, rows: Iterable[ListedRow], generation: int, now: datetime) -> None:
        """Record rows that their generation has not spoken of yet."""

    def replace_rows(self, rows: Iterable[ListedRow], generation: int, now: datetime) -> None:
        """Record rows in the place of what was known of them."""

    def forget_other_generations(self, generation: int, count: int) -> bool:
        """Forget at most `count` entries that the newest whole list did not name; return whether those were all."""


@dataclass(frozen=True, slots=True)
class ListForm:
    """What tells the lists apart: names in findings and notes, where the files lie, and how index and lines are read.

    `subject` is what findings are about; the index file and the parts are in folders below the one that comes.
    """

    name: str
    subject: str
    taken_note: str
    snapshot_note: str
    index: Callable[[SignedMediaList, str], MediaListIndex]
    row: Callable[[bytes], ListedRow]
    index_file: tuple[str, ...]
    parts: tuple[str, ...]


_TAKEN = "media-list-taken"
MEDIA_LIST_FORM = ListForm(
    *("media list", MEDIA_LIST, _TAKEN, LIST_SNAPSHOT, SignedMediaList.index, parse_row),
    index_file=(MEDIA_LIST, INDEX_FILE),
    parts=(MEDIA_LIST,),
)
SEALED_LIST_FORM = ListForm(
    *("list of sealed media", SEALED_INDEX, _TAKEN, LIST_SNAPSHOT, SignedMediaList.index, parse_listed),
    index_file=(SEALED_INDEX,),
    parts=(LIST,),
)
KEY_LIST_FORM = ListForm(
    *("list of media keys", KEY_LIST, "media-keys-taken", "media-keys-snapshot", SignedMediaList.keys, parse_key_row),
    index_file=(INDEX_FILE,),
    parts=(),
)
KEYS_URL = "media-keys-url"
"""The note that says where the files of the key list that was taken in last are served."""


class ListIntake:
    """The intake of one server's list, from the first of the folders `received` that has one."""

    def __init__(
        self,
        received: Path | tuple[Path, ...],
        records: Records,
        table: ListTable,
        verifier: Verifier,
        repository_id: str,
        found: FindingSink,
        *,
        form: ListForm = MEDIA_LIST_FORM,
        has_room: Callable[[], bool],
    ) -> None:
        self._form = form
        self._places = (received,) if isinstance(received, Path) else received
        self._received = self._places[0]
        self._records = records
        self._table = table
        self._verifier = verifier
        self._repository_id = repository_id
        self._found = found
        self._has_room = has_room
        self._looked_at = ""
        self._begun: Iterator[None] | None = None

    def work(self, now: datetime, until: float) -> bool:
        """Take in what has come, until `until` (monotonic); return whether there is nothing more to do now.

        Raise `SpaceError` while the disk has no room for it: a server may list what it likes.
        """
        while time.monotonic() <= until:
            if self._begun is None:
                index = self._new_index()
                if index is None:
                    return True
                self._begun = self._take(index, now)
            if not self._has_room():
                raise SpaceError("no space left on the disk for the server's media list")
            begun, self._begun = self._begun, None  # what raises is begun again by the next turn
            try:
                next(begun)
            except StopIteration:
                continue
            except FileNotFoundError:
                self._looked_at = ""  # a part is still on its way
                return True
            except (IntegrityError, NotAFileError, zstandard.ZstdError) as error:
                self._found(FindingKind.ODD_FILE, self._form.subject, self._not_taken_in(error))
                return True
            self._begun = begun
        return False

    def _new_index(self) -> MediaListIndex | None:
        """Return the list that has come, if it is another one than was looked at last, and the server's own."""
        try:
            content = self._read_index()
            digest = hashlib.sha256(content).hexdigest()
            if digest == self._looked_at:
                return None
            self._looked_at = digest
            signed = parse_signed_list(content)
            if not self._verifier.is_valid(signed.content.encode(), signed.signature.encode()):
                message = f"the server's {self._form.name} was not signed by its key"
                self._found(FindingKind.BAD_SIGNATURE, self._form.subject, message)
                return None
            index = self._form.index(signed, self._repository_id)
        except FileNotFoundError:
            return None  # a server of an older version, or one without media
        except (IntegrityError, NotAFileError) as error:
            self._found(FindingKind.ODD_FILE, self._form.subject, self._not_taken_in(error))
            return None
        is_taken = [part.name for part in index.parts] == self._taken()[1]
        if is_taken and index.snapshot == self._records.note(self._form.snapshot_note):
            return None
        return index

    def _read_index(self) -> bytes:
        """Return the index in the first place that has one, which is where its parts are; or `FileNotFoundError`."""
        *folders, name = self._form.index_file
        for place in self._places:
            try:
                with opened_folder(place, *folders) as folder:
                    content = read_small(name, MAXIMUM_INDEX_BYTES, folder=folder)
            except FileNotFoundError:
                continue
            self._received = place
            return content
        raise FileNotFoundError(name)

    def _not_taken_in(self, error: Exception) -> str:
        return f"the server's {self._form.name} is not taken in: {error}"

    def _take(self, index: MediaListIndex, now: datetime) -> Iterator[None]:
        """Take in the parts that are new, yielding after each small step."""
        generation, taken = self._taken()
        names = [part.name for part in index.parts]
        if not taken or names[: len(taken)] != taken:
            generation, taken = generation + 1, []
            self._note(generation, taken)
        is_whole = not taken
        for part in index.parts[len(taken) :]:
            with opened_folder(self._received, *self._form.parts) as folder:
                descriptor = open_regular(part.file_name, folder=folder)
            with os.fdopen(descriptor, "rb") as file:
                yield from _check(file.fileno(), part)
                rows = _decompressed(file.fileno())
                yield from self._take_part(rows, generation, now, is_first=is_whole and not taken)
            taken = [*taken, part.name]
            if not is_whole:
                self._note(generation, taken)
        while is_whole and not self._forget_others(generation):
            yield
        with self._records.together():
            self._note(generation, names)
            self._records.set_note(self._form.snapshot_note, index.snapshot)
            if isinstance(index, KeyListIndex):
                self._records.set_note(KEYS_URL, index.public_url)

    def _take_part(self, chunks: Iterator[bytes], generation: int, now: datetime, *, is_first: bool) -> Iterator[None]:
        take = self._table.add_rows if is_first else self._table.replace_rows
        lines = lines_of(chunks)
        for _ in range(MOST_ROWS // _BATCH):
            batch = [self._form.row(line) for line in islice(lines, _BATCH)]
            if not batch:
                return
            with self._records.together():
                take(batch, generation, now)
            yield
        raise IntegrityError(f"a part has more than {MOST_ROWS} rows")

    def _forget_others(self, generation: int) -> bool:
        with self._records.together():
            return self._table.forget_other_generations(generation, _BATCH * 10)

    def _taken(self) -> tuple[int, list[str]]:
        """Return the generation of what was taken in, and the names of its parts; none while a whole list is read."""
        noted = json.loads(self._records.note(self._form.taken_note) or "[0, []]")
        return int(noted[0]), [str(name) for name in noted[1]]

    def _note(self, generation: int, parts: list[str]) -> None:
        self._records.set_note(self._form.taken_note, json.dumps([generation, parts]))


def _check(descriptor: int, part: ListPart) -> Iterator[None]:
    """Compare a part with its name, in steps; raise `IntegrityError` if it is another."""
    digest, place = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, _PIECE_BYTES, place):
        digest.update(chunk)
        place += len(chunk)
        yield
    if (digest.hexdigest(), place) != (part.name, part.size_bytes):
        raise IntegrityError(f"the part {part.name} has other bytes than its name says")


def _decompressed(descriptor: int) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW_BYTES)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        with decompressor.stream_reader(file) as reader:
            while chunk := reader.read(_PIECE_BYTES):
                yield chunk
