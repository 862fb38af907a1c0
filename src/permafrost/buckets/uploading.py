"""Puts files of a repository into a bucket, keeps what is needed locked, and removes what is not.

Rules:

1. A file is put by one create-only PUT with its SHA-256, so that bytes that rotted here never arrive; one of more than
   5 GB in parts (`parts`).
2. If its key exists already, it counts only if the store says that it has that SHA-256. If we may not ask, or it has
   another, the file is put over it: in a bucket with versions both stay, and the right one is known by its bytes.
3. Each PUT carries its lock. A lock lasts longer than promised, so that it is renewed twice a month, and not each day.
   Nothing shortens one: an unneeded file's lock just runs out.
4. What is in the bucket is recorded once the store has said so. After kill -9, at most one batch is put once more.
5. A store that lacks create-only PUTs or locks gets files without, as far as it must: `bucket check` says what that
   means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, TypeVar

from permafrost.buckets import parts
from permafrost.buckets.client import PARALLEL
from permafrost.buckets.failures import ExistsError, MissingError, UnsupportedError
from permafrost.buckets.files import RepositoryFile
from permafrost.buckets.record import BucketRecord, Uploaded
from permafrost.buckets.store import BucketStore, Stored
from permafrost.errors import BucketRefusedError, PermafrostError
from permafrost.repository.layout import Layout
from permafrost.small_files import open_regular

T = TypeVar("T")
BATCH = 64
"""After so many files, what was put is recorded."""
_MODES = ((True, True), (True, False), (False, True), (False, False))
"""Whether a PUT carries a lock, and whether it is create-only; the first that the store knows is used."""
_AHEAD = timedelta(days=1)
"""A lock is renewed before less than promised is left: passes may be late."""


@dataclass(slots=True)
class Uploader:
    """Puts files of the repository at `layout` into a bucket; `lock_days` is 0 for no locks."""

    layout: Layout
    store: BucketStore
    record: BucketRecord
    lock_days: int
    clock: Callable[[], datetime]
    on_file: Callable[[], None]
    """Hears of each file that was put or whose lock was renewed, from several threads."""
    knows_no_lock: bool = False
    """Whether the bucket took no lock before; a pass tries again."""
    sent: int = 0
    sent_bytes: int = 0
    _mode: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin with what is wanted."""
        self._mode = 0 if self.lock_days and not self.knows_no_lock else 2

    @property
    def has_lock(self) -> bool:
        """Whether the bucket has refused no lock so far, where locks are wanted."""
        return _MODES[self._mode][0]

    def send(self, files: Sequence[RepositoryFile]) -> None:
        """Put those of the files into the bucket that are not known to be there; they are then recorded.

        Raise what the first failure means. `FileNotFoundError` if a file is gone here: a prune has removed it.
        """
        known = self.record.files(file.path for file in files)
        missing = [file for file in files if file.path not in known or known[file.path].sha256 != file.sha256]
        with ThreadPoolExecutor(PARALLEL) as pool:
            for start in range(0, len(missing), BATCH):
                batch = missing[start : start + BATCH]
                done, failure = _attempt(pool, self._put, batch)
                self.sent += len(done)
                self.sent_bytes += sum(file.size_bytes for file in done)
                self._settle(done, failure)

    def renew(self, needed: Mapping[str, RepositoryFile]) -> tuple[int, tuple[str, ...]]:
        """Renew the locks of what is needed where less than promised is left; return how many, and what is gone.

        What the bucket no longer has is forgotten, and so put there again. A bucket may have got locks since.
        """
        if not self.lock_days:
            return 0, ()
        soon = self.clock() + timedelta(days=self.lock_days) + _AHEAD
        due = [
            file
            for file in self.record.files().values()
            if file.path in needed and (file.locked_until is None or file.locked_until < soon)
        ]
        gone: list[str] = []

        def lock(file: Uploaded) -> Uploaded | None:
            until = self._until()
            try:
                self.store.lock(self.store.address.key(file.path), file.version, until)
            except MissingError:
                gone.append(file.path)
                return None
            self.on_file()
            return Uploaded(file.path, file.sha256, file.size_bytes, file.version, file.tag, until, file.read_at)

        try:
            with ThreadPoolExecutor(PARALLEL) as pool:
                for start in range(0, len(due), BATCH):
                    self._settle(*_attempt(pool, lock, due[start : start + BATCH]))
        except UnsupportedError:
            self._mode = max(self._mode, 2)
            return 0, ()
        if due:
            self._mode %= 2  # what was locked shows that locks are taken
        self.record.forget(gone)
        return len(due) - len(gone), tuple(gone)

    def remove_unneeded(self, needed: Mapping[str, RepositoryFile], *, removes: bool) -> tuple[int, int]:
        """Remove what is not needed and whose lock has run out, a snapshot's own files first.

        Return how many were removed, and how many are still there. A key that may not remove removes nothing.
        """
        unneeded = [file for file in self.record.files().values() if file.path not in needed]
        now = self.clock()
        removed: list[str] = []
        for file in sorted(unneeded, key=lambda one: (one.path.startswith("objects/"), one.path)):
            if not removes or (file.locked_until is not None and file.locked_until >= now):
                continue
            try:
                self.store.remove(self.store.address.key(file.path), file.version)
            except BucketRefusedError:
                break
            except MissingError:
                pass
            removed.append(file.path)
        self.record.forget(removed)
        for path in self.record.begun_parts():
            if path not in needed:
                parts.abandon_parts(self.store, self.record, path)
        return len(removed), len(unneeded) - len(removed)

    def _settle(self, done: list[Uploaded], failure: Exception | None) -> None:
        self.record.put(done)
        if failure is not None:
            raise failure

    def _put(self, file: RepositoryFile) -> Uploaded:
        while True:
            mode = self._mode
            try:
                uploaded = self._put_as(file, *_MODES[mode])
                break
            except UnsupportedError:
                if mode + 1 == len(_MODES):
                    raise
                self._mode = max(self._mode, mode + 1)
        self.on_file()
        return uploaded

    def _put_as(self, file: RepositoryFile, is_locked: bool, creates_only: bool) -> Uploaded:
        until = self._until() if is_locked else None
        with os.fdopen(open_regular(self.layout.root / file.path), "rb") as body:
            if file.size_bytes > parts.MOST_PUT_BYTES:
                return self._put_in_parts(file, body, until, creates_only)
            stored = self._put_at_once(file, body, until, creates_only)
        return Uploaded(file.path, file.sha256, file.size_bytes, stored.version, stored.tag, until)

    def _put_in_parts(
        self, file: RepositoryFile, body: IO[bytes], until: datetime | None, creates_only: bool
    ) -> Uploaded:
        stored, until = parts.put_in_parts(
            self.store, self.record, file, body, locked_until=until, creates_only=creates_only
        )
        uploaded = Uploaded(file.path, file.sha256, file.size_bytes, stored.version, stored.tag, until)
        self.record.put([uploaded])  # at once: it took long
        self.record.forget_parts(file.path)
        return uploaded

    def _put_at_once(self, file: RepositoryFile, body: IO[bytes], until: datetime | None, creates_only: bool) -> Stored:
        key = self.store.address.key(file.path)
        try:
            return self.store.put(key, body, file.sha256, locked_until=until, creates_only=creates_only)
        except ExistsError:
            existing = self._existing(file, until)
        if existing is not None:
            return existing
        body.seek(0)
        return self.store.put(key, body, file.sha256, locked_until=until, creates_only=False)

    def _existing(self, file: RepositoryFile, until: datetime | None) -> Stored | None:
        """Return what is there already, locked, if the store says that it has the file's SHA-256."""
        key = self.store.address.key(file.path)
        try:
            seen = self.store.look(key)
            if seen.sha256 != file.sha256:
                return None
            if until is not None:
                self.store.lock(key, seen.stored.version, until)
        except (BucketRefusedError, MissingError):
            return None
        return seen.stored

    def _until(self) -> datetime:
        return self.clock() + timedelta(days=self.lock_days) * 1.5 + 2 * _AHEAD


def first_lock_end(known: Mapping[str, Uploaded], needed: Iterable[str]) -> datetime | None:
    """Return when the first lock on something needed ends, None if something is not locked or not there."""
    ends = [known[path].locked_until if path in known else None for path in needed]
    locked = [end for end in ends if end is not None]
    return min(locked, default=None) if len(locked) == len(ends) else None


def _attempt(
    pool: ThreadPoolExecutor, work: Callable[[T], Uploaded | None], files: Sequence[T]
) -> tuple[list[Uploaded], Exception | None]:
    """Return what the work on the files left, and its first failure; after one, no other work begins."""
    failures: list[Exception] = []

    def guarded(file: T) -> Uploaded | None:
        if failures:
            return None
        try:
            return work(file)
        except (PermafrostError, OSError) as error:
            failures.append(error)
            return None

    done = [uploaded for uploaded in pool.map(guarded, files) if uploaded is not None]
    return done, failures[0] if failures else None
