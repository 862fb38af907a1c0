"""The media in a history: each file is linked when first seen, and kept for a time after it is gone.

history/media/PATH                  the newest version of each file, of those that the server has deleted too
history/media-replaced/TIME/PATH    versions that another has taken the place of, by when that was seen

So media/ holds everything that a database of the last N days refers to, in its place. A scan looks at every file, in
pieces and rarely; it holds one open folder per level and no list of files, so memory does not grow with their number.
A file is only linked: its inode shows whether another has replaced it, since Syncthing replaces by rename.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.durable import space_errors
from permafrost.vault.arrivals import Records
from permafrost.vault.linking import NotAFileError, take
from permafrost.vault.media_versions import MediaVersion, MediaVersions

PRESENT = b"media"
REPLACED = b"media-replaced"
DEEPEST = 64
BATCH = 500
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSED_OVER = (b".syncthing.", b"~syncthing~", b".stfolder", b".stignore", b".stversions")
_STAMP = "%Y%m%dT%H%M%S.%fZ"


class MediaHistory:
    """The media of one server."""

    def __init__(self, received: Path, history: Path, records: Records, found: FindingSink) -> None:
        self._received = os.fsencode(received)
        self._root = os.fsencode(history)
        self._records = records
        self.versions = MediaVersions(records.database)
        self._found = found
        self._bytes_left = 0
        self._replaced = 0
        self._walk: Iterator[None] | None = None

    def work(self, now: datetime, *, keep: timedelta, allowed_bytes: int, until: float) -> bool:
        """Go on with the scan until `until` (monotonic), and return whether it is done.

        What has been gone for longer than `keep` is dropped. Nothing is taken beyond `allowed_bytes` for all versions
        together; what is there stays.
        """
        if self._walk is None:
            if not os.path.isdir(os.path.join(self._received, b".stfolder")):
                return True  # not shared yet, or a disk that is not mounted: nothing of it is gone
            self._bytes_left = allowed_bytes - self.versions.totals()[2]
            self._walk = self._scan(now, keep)
        walk, self._walk = self._walk, None  # what raises is begun again by the next scan
        while time.monotonic() <= until:
            with self._records.together():
                for _ in range(BATCH):
                    if next(walk, self) is self:
                        return True
        self._walk = walk
        return False

    def _scan(self, now: datetime, keep: timedelta) -> Iterator[None]:
        """Do the whole scan, yielding after each small step."""
        if self.versions.is_empty():
            yield from self._find_again(now)
        yield from self._take_new(now)
        yield from self._end_gone(now)
        for version in iter(lambda: self.versions.gone_before(now - keep, BATCH), ()):
            for one in version:
                self._remove(one)
                yield

    # --- what is there ---

    def _take_new(self, now: datetime) -> Iterator[None]:
        self._replaced = seen = 0
        for folder, path, name in _files_below(self._received, self._found):
            self._look_at(folder, path, name, now)
            seen += 1
            yield
        if self._replaced * 2 > seen:
            self._found(
                FindingKind.MEDIA_REPLACED, "media", f"the server has replaced {self._replaced} of {seen} media files"
            )

    def _look_at(self, folder: int, path: bytes, name: bytes, now: datetime) -> None:
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        known = self.versions.present(path)
        if known is not None and (known.inode, known.size_bytes) == (status.st_ino, status.st_size):
            return
        if known is not None:
            self._replaced += 1
            self._set_aside(known, now)
        if status.st_size > self._bytes_left:
            self._found(
                FindingKind.MEDIA_FULL, "media", "new media are not kept: the history has reached its share of the disk"
            )
            return
        place = self._link(folder, name, path, now)
        if place is not None:
            self.versions.add(path, place, status.st_ino, status.st_size, now)
            self._bytes_left -= status.st_size

    def _link(self, folder: int, name: bytes, path: bytes, now: datetime) -> bytes | None:
        """Return where the file was linked to: at its path, or among the replaced ones if something is in the way."""
        staged = Path(os.fsdecode(os.path.join(self._root, b"tmp", b"media")))
        try:
            taken = take(folder, os.fsdecode(name), staged)
        except (FileNotFoundError, NotAFileError):
            return None
        place = os.path.join(PRESENT, path)
        try:
            if not self._put(os.fsencode(staged), place, taken.st_ino):
                gone = self.versions.at_place(path, place)
                if gone is not None:
                    self._set_aside(gone, gone.gone_at or now)
                else:
                    place = self._aside(path, now)
                self._put(os.fsencode(staged), place, taken.st_ino)
        finally:
            staged.unlink(missing_ok=True)
        return place

    def _put(self, source: bytes, place: bytes, inode: int) -> bool:
        target = os.path.join(self._root, place)
        with space_errors(Path(os.fsdecode(self._root))):
            try:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.link(source, target, follow_symlinks=False)
            except (FileExistsError, NotADirectoryError):
                with suppress(OSError):
                    return os.lstat(target).st_ino == inode  # linked by a run that was killed before it recorded it
                return False
        return True

    def _set_aside(self, version: MediaVersion, now: datetime) -> None:
        """Make room at the version's path for the one that has taken its place."""
        place = self._aside(version.path, now)
        target = os.path.join(self._root, place)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.rename(os.path.join(self._root, version.place), target)
        except FileNotFoundError:
            self.versions.forget(version)
        else:
            self.versions.end(version, now, place)

    def _aside(self, path: bytes, now: datetime) -> bytes:
        return os.path.join(REPLACED, now.strftime(_STAMP).encode("ascii"), path)

    # --- what is gone ---

    def _end_gone(self, now: datetime) -> Iterator[None]:
        number, gone, seen = 0, 0, 0
        while batch := self.versions.present_after(number, BATCH):
            for version in batch:
                number = version.number
                seen += 1
                if not os.path.lexists(os.path.join(self._root, version.place)):
                    self.versions.forget(version)  # a power cut took the link; the next scan makes it again
                elif not os.path.lexists(os.path.join(self._received, version.path)):
                    self.versions.end(version, now)
                    gone += 1
                yield
        if gone and gone * 2 > seen:
            self._found(
                FindingKind.MEDIA_REMOVED, "media", f"the server has deleted {gone} of {seen} media files at once"
            )

    def _remove(self, version: MediaVersion) -> None:
        place = os.path.join(self._root, version.place)
        # a version that came later may have been given the same place by a run that was killed
        present = self.versions.present(version.path)
        if present is None or present.place != version.place:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(place)
            folder = os.path.dirname(version.place)
            with suppress(OSError):
                while folder not in (PRESENT, REPLACED, b""):
                    os.rmdir(os.path.join(self._root, folder))
                    folder = os.path.dirname(folder)
        self.versions.forget(version)

    # --- after the records were lost ---

    def _find_again(self, now: datetime) -> Iterator[None]:
        """Record what is in the history: present, or gone from now on, so that it stays for the whole time again."""
        for top, depth in ((PRESENT, 0), (REPLACED, 1)):
            root = os.path.join(self._root, top)
            if not os.path.isdir(root):
                continue
            for folder, below, name in _files_below(root, self._found):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                path = below.split(b"/", depth)[depth]
                is_present = top == PRESENT and _inode(os.path.join(self._received, path)) == status.st_ino
                gone_at = None if is_present else now
                self.versions.add(path, os.path.join(top, below), status.st_ino, status.st_size, now, gone_at)
                yield


def _files_below(root: bytes, found: FindingSink) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield folder descriptor, path below `root` and name of each regular file; no link is followed."""
    levels: list[tuple[int, bytes, Iterator[os.DirEntry[str]]]] = []
    try:
        descriptor = os.open(root, _FOLDER)
        levels.append((descriptor, b"", os.scandir(descriptor)))
        while levels:
            folder, path, entries = levels[-1]
            entry = next(entries, None)
            if entry is None:
                os.close(levels.pop()[0])
                continue
            name = os.fsencode(entry.name)
            below = os.path.join(path, name)
            if name.startswith(_PASSED_OVER):
                continue
            if entry.is_file(follow_symlinks=False):
                yield folder, below, name
            elif entry.is_dir(follow_symlinks=False) and len(levels) < DEEPEST:
                opened = _opened_below(folder, name)
                if opened is not None:
                    levels.append((opened, below, os.scandir(opened)))
            else:
                found(
                    FindingKind.ODD_FILE,
                    "media",
                    "the media contain links, pipes or very deep folders; these are not kept",
                )
    finally:
        for folder, _, _ in levels:
            os.close(folder)


def _opened_below(folder: int, name: bytes) -> int | None:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return None  # it was replaced since it was listed
        raise


def _inode(path: bytes) -> int | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino if stat.S_ISREG(status.st_mode) else None
