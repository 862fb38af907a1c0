"""Publishes what was sealed: a segment of the catalog, a part of the list, and the signed index that names both.

The index is replaced last, in one step; until then all that is new is named by nothing. What it no longer names stays
for some days, as a vault may be reading the one before.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import zstandard

from permafrost.errors import IntegrityError
from permafrost.repository.durable import fsync_folder, make_folder_durably, space_errors, write_durably
from permafrost.repository.layout import OBJECT_MODE
from permafrost.repository.media_list import ListPart, SignedMediaList
from permafrost.repository.objects import stored_objects
from permafrost.sealed_media.index import PublishedIndex, SealedIndex, digest_of, read_index
from permafrost.sealed_media.layout import SealedStore
from permafrost.sealed_media.lines import listed_line
from permafrost.sealed_media.packs import Sealer
from permafrost.sealed_media.padding import skippable_frame
from permafrost.sealed_media.state import SealedState

KEPT_UNNEEDED = timedelta(days=3)
MOST_SEGMENTS = 100
"""With more, or with as many lines as half of all files, the catalog is written whole again."""
PUBLISHED, PENDING, LINES, ANEW = "published", "pending", "lines", "anew"
"""Notes: the digest of the index that the state is about, and of one that is about to be; how many lines the segments
of the catalog have but the first; whether everything is sealed again, of which nothing is published before all is."""
_ALL_LINES = 1 << 40
"""So many lines are noted where the catalog has to be written whole."""
_LEVEL = 6
_CHUNK_BYTES = 1 << 20
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Moment:
    """Of which repository the media are, after which of its snapshots they were looked at, and when."""

    repository_id: str
    snapshot: str
    now: datetime


@dataclass(slots=True)
class Publisher:
    """Publishes into one store. Only a holder of its lock may use it."""

    store: SealedStore
    state: SealedState
    sealer: Sealer
    sign: Sign
    before: PublishedIndex | None = None
    """The index as it is published."""

    def take_up(self, repository_id: str, now: datetime) -> bool:
        """Settle what a run that was killed has published; return whether the state is that of the store's index.

        If not, one of the two was lost or exchanged.
        """
        self.before = self._published(repository_id)
        digest = self.before.digest if self.before is not None else ""
        if digest and digest == self.state.note(PENDING):
            self._settle(now)
        return digest == (self.state.note(PUBLISHED) or "")

    def _published(self, repository_id: str) -> PublishedIndex | None:
        try:
            return read_index(self.store.index, repository_id)
        except (OSError, IntegrityError):
            return None

    @property
    def is_anew(self) -> bool:
        """Whether everything is being sealed again, in the place of what is published."""
        return self.state.note(ANEW) == "1"

    def begin_anew(self) -> None:
        """Let everything be sealed again; what is published stays until that is done."""
        with self.state.together():
            self.state.begin_again()
            self.state.set_note(PUBLISHED, self.before.digest if self.before is not None else "")
            self.state.set_note(ANEW, "1" if self.before is not None else "")

    def continue_published(self) -> None:
        """Let the state, which was found out from the store, count as that of the published index."""
        with self.state.together():
            self.state.set_note(ANEW, "")

    def clear(self, now: datetime) -> int:
        """Remove what no index names: unfinished files, objects of killed runs, and what has long been unneeded.

        Return how many objects were removed. What is needed and not there any more is to be sealed again.
        """
        named = [part.name for part in self.before.index.catalog] if self.before is not None else []
        with self.state.together():
            self.state.keep_catalog(named, now)
        for file in self.store.layout.temporary.iterdir():
            file.unlink()
        unneeded = set(self.state.unneeded_before(now - KEPT_UNNEEDED))
        removed, there = 0, set[str]()
        for name, file in stored_objects(self.store.layout):
            if name in unneeded or not self.state.has_object(name):
                file.unlink()
                removed += 1
            else:
                there.add(name)
        with self.state.together():
            for name in unneeded:
                self.state.forget_object(name)
            lost = self.state.lose_objects_but(there)
            if lost & set(named):
                self.state.set_note(LINES, str(_ALL_LINES))
        return removed

    def publish(self, moment: Moment) -> int:
        """Make the store's index say what the state does, and return how many lines were new; 0 if it does already."""
        self.state.end_unneeded_packs(moment.now)
        lines = int(self.state.note(LINES) or 0)
        changes = self.state.changes() + lines // _ALL_LINES
        if not changes and self.before is not None:
            return 0
        files, _ = self.state.totals()
        index = self.before.index if self.before is not None else None
        is_whole = index is None or self.is_anew or len(index.catalog) >= MOST_SEGMENTS or 2 * (lines + changes) > files
        segment = self._put_catalog(is_whole=is_whole, now=moment.now)
        part = self._put_part(is_whole=is_whole)
        text = SealedIndex(
            repository=moment.repository_id,
            snapshot=moment.snapshot,
            made_at=moment.now,
            rows=self.state.totals_of_objects()[0],
            parts=(part,) if is_whole or index is None else (*index.parts, part),
            catalog=(segment,) if is_whole or index is None else (*index.catalog, segment),
        ).model_dump_json()
        signature = self.sign(text.encode()).decode("ascii")
        content = SignedMediaList(content=text, signature=signature).encode()
        with self.state.together():
            self.state.set_note(PENDING, digest_of(content))
            self.state.set_note(LINES, str(0 if is_whole else lines + changes))
        write_durably(self.store.index, content, OBJECT_MODE)
        earlier = index.parts if index is not None else ()
        self.before = read_index(self.store.index, moment.repository_id)
        self._settle(moment.now)
        self._remove_parts_but((*self.before.index.parts, *earlier))
        return changes

    def _settle(self, now: datetime) -> None:
        assert self.before is not None  # noqa: S101 - as read just now
        with self.state.together():
            self.state.settle([part.name for part in self.before.index.catalog], now)
            self.state.set_note(PUBLISHED, self.before.digest)
            self.state.set_note(PENDING, "")  # what is recorded from now on is in no index yet
            self.state.set_note(ANEW, "")

    def _put_catalog(self, *, is_whole: bool, now: datetime) -> ListPart:
        counted = _Counted(compressed(self.state.catalog_lines(is_whole=is_whole)))
        stored = self.sealer.put(counted)
        named = [] if is_whole or self.before is None else [part.name for part in self.before.index.catalog]
        with self.state.together():
            self.state.add_object(stored, "catalog", counted.size_bytes)
            self.state.keep_catalog([*named, stored.name], now)
        return ListPart(name=stored.name, size_bytes=stored.size_bytes)

    def _put_part(self, *, is_whole: bool) -> ListPart:
        lines = (listed_line(name, size) for name, size in self.state.listed_objects(is_whole=is_whole))
        make_folder_durably(self.store.parts)
        temporary = self.store.layout.temporary / "part"
        digest, size = hashlib.sha256(), 0
        with space_errors(self.store.root), temporary.open("wb") as file:
            for chunk in _compressed(lines):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        part = ListPart(name=digest.hexdigest(), size_bytes=size)
        temporary.chmod(OBJECT_MODE)
        temporary.replace(self.store.parts / part.file_name)
        fsync_folder(self.store.parts)
        return part

    def _remove_parts_but(self, needed: Iterable[ListPart]) -> None:
        names = {part.file_name for part in needed}
        for file in self.store.parts.iterdir():
            if file.name not in names:
                file.unlink()


def compressed(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines compressed, with a frame that rounds the size up."""
    size = 0
    for chunk in _compressed(lines):
        size += len(chunk)
        yield chunk
    yield skippable_frame(size)


def _compressed(lines: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    for joined in _joined(lines):
        if out := compressor.compress(joined):
            yield out
    yield compressor.flush()


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    collected, size = [], 0
    for line in lines:
        collected.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield b"".join(collected)
            collected, size = [], 0
    yield b"".join(collected)


class _Counted:
    """Yields chunks, and knows their size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size_bytes += len(chunk)
            yield chunk
