"""Puts a tree of media files into the bucket of a Mastodon: each with the access that Mastodon would give it.

What is there already is found by a listing, a thousand files with each request: a file of the same size, and with the
MD5 that a store calls a plain upload by, is left as it is. So a push that broke off resumes. Nothing is removed.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from permafrost.buckets.client import PARALLEL
from permafrost.buckets.failures import UnsupportedError
from permafrost.buckets.store import BucketStore
from permafrost.small_files import open_regular

PRIVATE = "private"
_READ_BYTES = 1 << 20
_UNDER_WAY = 4 * PARALLEL


@dataclass(slots=True)
class Pushed:
    """What a push has done: files sent and their bytes, files that were there, and those that nobody may read."""

    files: int = 0
    size_bytes: int = 0
    present: int = 0
    closed: int = 0
    has_acl: bool = True
    """False once the bucket refused to set access for single files."""


class MediaPusher:
    """Sends files to below a prefix of a bucket; `acl` is that of files that everyone may read, empty for none."""

    def __init__(self, store: BucketStore, acl: str) -> None:
        self._store = store
        self._acl = acl
        self._lock = Lock()
        self.pushed = Pushed(has_acl=bool(acl))

    def push(self, root: Path) -> Iterator[Pushed]:
        """Send every regular file below the folder, yielding what is done so far; no link is followed.

        Raise `BucketError` if the store fails, `OSError` if a file cannot be read.
        """
        present = dict(self._present())
        with ThreadPoolExecutor(PARALLEL) as threads:
            under_way: set[Future[None]] = set()
            try:
                for file in _files_below(root):
                    under_way.add(threads.submit(self._push, root, file, present.get(file)))
                    if len(under_way) >= _UNDER_WAY:
                        under_way = _collected(under_way)
                        yield self.pushed
                while under_way:
                    under_way = _collected(under_way)
                    yield self.pushed
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def _present(self) -> Iterator[tuple[str, tuple[int, str]]]:
        prefix = f"{self._store.address.root}/" if self._store.address.root else ""
        for listed in self._store.objects(prefix):
            yield listed.key.removeprefix(prefix), (listed.size_bytes, listed.tag)

    def _push(self, root: Path, path: str, present: tuple[int, str] | None) -> None:
        descriptor = open_regular(root / path)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            is_closed = not status.st_mode & 0o004
            if present is not None and present[0] == status.st_size and present[1] == _md5(descriptor):
                with self._lock:
                    self.pushed.present += 1
                return
            self._put(path, file.read(), PRIVATE if is_closed else self._acl)
        with self._lock:
            self.pushed.files += 1
            self.pushed.size_bytes += status.st_size
            self.pushed.closed += is_closed

    def _put(self, path: str, content: bytes, acl: str) -> None:
        key = "/".join(filter(None, (self._store.address.root, path)))
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        try:
            self._store.put_media(key, content, kind, acl if self.pushed.has_acl else "")
        except UnsupportedError:
            if not self.pushed.has_acl:
                raise
            self._store.put_media(key, content, kind, "")
            self.pushed.has_acl = False


def _collected(under_way: set[Future[None]]) -> set[Future[None]]:
    done, rest = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return rest


def _files_below(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not (Path(folder) / name).is_symlink() and name != ".stfolder")
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file() and not file.is_symlink():
                yield str(file.relative_to(root))


def _md5(descriptor: int) -> str:
    digest, place = hashlib.md5(usedforsecurity=False), 0
    while chunk := os.pread(descriptor, _READ_BYTES, place):
        digest.update(chunk)
        place += len(chunk)
    return digest.hexdigest()
