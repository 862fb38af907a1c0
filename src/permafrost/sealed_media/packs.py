"""Packs: files joined, padded, sealed as one object. Small ones together, since each call of gpg takes some 20 ms."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from permafrost.openpgp.sealing import Sealing
from permafrost.repository.layout import Layout
from permafrost.repository.objects import StoredObject
from permafrost.repository.sealed import put_sealed
from permafrost.sealed_media.padding import padded_size
from permafrost.sealed_media.state import FileFacts, Place, SealedState

TARGET_BYTES = 8 << 20
"""A pack is sealed before it grows beyond this; a file of this size has one of its own."""
_READ_BYTES = 1 << 20


class ChangedFileError(Exception):
    """A file was written to while it was read. The next run finds it whole."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """What seals objects into a store: `home` is a GnuPG home that lasts as long as the run."""

    layout: Layout
    sealing: Sealing
    home: Path

    def put(self, chunks: Iterable[bytes]) -> StoredObject:
        """Store the bytes as one sealed object, and return it once it is durable."""
        return put_sealed(self.layout, self.home, self.sealing, source=chunks)


@dataclass(slots=True)
class Sealed:
    """What a run has sealed so far: contents that were new, and their bytes."""

    contents: int = 0
    content_bytes: int = 0
    object_bytes: int = 0


@dataclass(slots=True)
class Packer:
    """Takes files one by one; what is in the pack under way is sealed by `flush`."""

    state: SealedState
    sealer: Sealer
    done: Sealed = field(default_factory=Sealed)
    _chunks: list[bytes] = field(default_factory=list)
    _size_bytes: int = 0
    _offsets: dict[bytes, int] = field(default_factory=dict)
    _files: list[tuple[FileFacts, bytes, int]] = field(default_factory=list)

    def add(self, facts: FileFacts, descriptor: int) -> bool:
        """Record where the open file's bytes are, or take them into a pack; return whether something was sealed.

        Raise `ChangedFileError` if they are not those of `facts`.
        """
        if facts.size_bytes >= TARGET_BYTES:
            return self._add_large(facts, descriptor)
        content = b"".join(_chunks_of(descriptor, facts))
        digest = hashlib.sha256(content).digest()
        if (place := self.state.place_of(digest)) is not None:
            self.state.put(facts, digest, place)
            return False
        is_full = self._size_bytes + len(content) > TARGET_BYTES
        if is_full:
            self.flush()
        offset = self._offsets.get(digest)
        if offset is None:
            offset = self._offsets[digest] = self._size_bytes
            self._chunks.append(content)
            self._size_bytes += len(content)
        self._files.append((facts, digest, offset))
        return is_full

    def flush(self) -> None:
        """Seal the pack under way, and record its files."""
        if not self._files:
            return
        chunks = [*self._chunks, *_padding(self._size_bytes)]
        self._record(self.sealer.put(chunks), self._size_bytes, self._files, len(self._offsets))
        self._chunks, self._size_bytes, self._offsets, self._files = [], 0, {}, []

    def _add_large(self, facts: FileFacts, descriptor: int) -> bool:
        digest = hashlib.sha256()
        for chunk in _chunks_of(descriptor, facts):
            digest.update(chunk)
        if (place := self.state.place_of(digest.digest())) is not None:
            self.state.put(facts, digest.digest(), place)
            return False
        again = hashlib.sha256()

        def content() -> Iterator[bytes]:
            for chunk in _chunks_of(descriptor, facts):
                again.update(chunk)
                yield chunk
            if again.digest() != digest.digest():
                raise _changed(facts)
            yield from _padding(facts.size_bytes)

        self._record(self.sealer.put(content()), facts.size_bytes, [(facts, digest.digest(), 0)], 1)
        return True

    def _record(
        self, stored: StoredObject, content_bytes: int, files: list[tuple[FileFacts, bytes, int]], contents: int
    ) -> None:
        with self.state.together():
            number = self.state.add_object(stored, "pack", content_bytes)
            for facts, digest, offset in files:
                self.state.put(facts, digest, Place(number, offset))
        self.done.contents += contents
        self.done.content_bytes += content_bytes
        self.done.object_bytes += stored.size_bytes


def facts_of(path: bytes, status: os.stat_result) -> FileFacts:
    """Return what says whether the file is the one that was sealed."""
    return FileFacts(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode & 0o777)


def _chunks_of(descriptor: int, facts: FileFacts) -> Iterator[bytes]:
    """Yield the file's bytes; raise `ChangedFileError` if it is not, or is no longer, the one of `facts`."""
    place = 0
    while place < facts.size_bytes and (
        chunk := os.pread(descriptor, min(_READ_BYTES, facts.size_bytes - place), place)
    ):
        place += len(chunk)
        yield chunk
    now = facts_of(facts.path, os.fstat(descriptor))
    if place != facts.size_bytes or (now.size_bytes, now.mtime_ns) != (facts.size_bytes, facts.mtime_ns):
        raise _changed(facts)


def _changed(facts: FileFacts) -> ChangedFileError:
    shown = facts.path.decode("utf-8", "backslashreplace")
    return ChangedFileError(f"{shown} was written to while it was read; the next run takes it")


def _padding(size_bytes: int) -> Iterator[bytes]:
    left = padded_size(size_bytes) - size_bytes
    while left > 0:
        yield bytes(min(left, _READ_BYTES))
        left -= _READ_BYTES
