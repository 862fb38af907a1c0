"""The media in a history: each file is linked when first seen, and kept for a time after it is gone.

history/media/PATH                  the newest version of each file, of those that the server has deleted too
history/media-replaced/TIME/PATH    versions that another has taken the place of, by when that was seen

So media/ holds everything that a database of the last N days refers to, in its place. A scan looks at every file, in
pieces and rarely; it holds one open folder per level and no list of files, so memory does not grow with their number.
A path that cannot be kept is reported, and ends nothing. A file is only linked: its inode shows whether another has
replaced it, since Syncthing replaces by rename.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.findings import FindingKind, FindingSink
from permafrost.repository.durable import space_errors
from permafrost.small_files import NotAFileError, opened_folder
from permafrost.vault.arrivals import Records
from permafrost.vault.cost import FOLDER_BYTES, media_cost
from permafrost.vault.linking import take
from permafrost.vault.media.balance import report_balance
from permafrost.vault.media.needed import NeededMedia
from permafrost.vault.media.versions import ROTTEN, MediaVersion, MediaVersions
from permafrost.vault.media.walk import Presence, files_below

PRESENT = b"media"
REPLACED = b"media-replaced"
BATCH = 500
NAMED_AT_MOST = 20
"""So many paths that are not kept are named in each scan; the others are counted."""
SUDDEN = timedelta(days=1)
SUDDEN_SHARE = 0.1
SUDDEN_COUNT = 10
"""So many files, and such a share of all, that are deleted or replaced within that time are reported."""
NOT_KEPT = "media-not-kept"
_FOLDERS = "media-folders"
_STAMP = "%Y%m%dT%H%M%S.%fZ"


class MediaHistory:
    """The media of one server."""

    def __init__(
        self,
        received: Path,
        history: Path,
        records: Records,
        found: FindingSink,
        repository_id: str,
        *,
        is_sealed: bool = False,
    ) -> None:
        """`is_sealed`: the media come as a store of sealed objects."""
        self._received = os.fsencode(received)
        self._root = os.fsencode(history)
        self._records = records
        self.versions = MediaVersions(records.database, repository_id, is_sealed=is_sealed)
        self.needed = NeededMedia(records.database, is_sealed=is_sealed)
        self._found = found
        self._allowed_bytes = 0
        self._folders = int(records.note(_FOLDERS) or 0)
        self._not_kept = self._not_taken = 0
        self._walk: Iterator[None] | None = None
        self.has_scanned = False
        """Whether a whole scan was done since this was opened."""

    @property
    def is_scanning(self) -> bool:
        """Whether a scan was begun and is not done."""
        return self._walk is not None

    def cost_bytes(self) -> int:
        """Return what the media of the history cost the disk."""
        return self.versions.cost_bytes() + self._folders * FOLDER_BYTES

    def work(self, now: datetime, *, keep: timedelta, allowed_bytes: int, until: float) -> bool:
        """Go on with the scan until `until` (monotonic), and return whether it is done.

        What has been gone for longer than `keep` is dropped. Nothing is taken beyond `allowed_bytes` for all versions
        together; what is there stays.
        """
        self._allowed_bytes = allowed_bytes
        if self._walk is None:
            if not os.path.isdir(os.path.join(self._received, b".stfolder")):
                return True  # not shared yet, or a disk that is not mounted: nothing of it is gone
            self._walk = self._scan(now, keep)
        walk, self._walk = self._walk, None  # what raises is begun again by the next scan
        try:
            while time.monotonic() <= until:
                with self._records.together():
                    is_done = self._batch(walk)
                    self._records.set_note(_FOLDERS, str(self._folders))
                if is_done:
                    return True
        except BaseException:
            self.versions.count_again()  # what was recorded in the batch is undone
            raise
        self._walk = walk
        return False

    def _batch(self, walk: Iterator[None]) -> bool:
        """Do some steps, and return whether that was all."""
        return any(next(walk, self) is self for _ in range(BATCH))

    def _scan(self, now: datetime, keep: timedelta) -> Iterator[None]:
        """Do the whole scan, yielding after each small step."""
        self._not_kept = self._not_taken = 0
        while not self.versions.mask(BATCH):
            yield
        if self.versions.is_empty():
            yield from self._find_again(now)
        yield from self._take_new(now)
        yield from self._end_gone(now)
        for version in iter(lambda: self.versions.gone_before(now - keep, BATCH), ()):
            for step in version:
                self._remove(step)
                yield
        yield from report_balance(self.needed, self._records, self._found, now)
        self._conclude(now)

    def take_one(self, path: bytes, now: datetime, *, allowed_bytes: int) -> None:
        """Take a file that has just come, without waiting for a scan; raise `OSError` if it cannot be kept.

        Not before a scan is done (`has_scanned`): if the records were lost, that one finds what is kept already.
        """
        self._allowed_bytes = allowed_bytes
        *folders, name = os.fsdecode(path).split("/")
        with opened_folder(Path(os.fsdecode(self._received)), *folders) as folder:
            self._look_at(folder, path, os.fsencode(name), now)

    # --- what is there ---

    def _take_new(self, now: datetime) -> Iterator[None]:
        for folder, path, name in files_below(self._received, self._odd):
            try:
                self._look_at(folder, path, name, now)
            except OSError as error:  # a path that is too long for the history, for instance
                self._odd(path, f"it cannot be kept: {error.strerror}")
            yield

    def _odd(self, path: bytes, reason: str) -> None:
        """Report a path that is not kept, by its name if there are few."""
        self._not_kept += 1
        if self._not_kept <= NAMED_AT_MOST:
            shown = path.decode("utf-8", "backslashreplace") or "the media folder"
            self._found(FindingKind.ODD_FILE, f"media/{shown}", f"{shown} among the media is not kept: {reason}")

    def _conclude(self, now: datetime) -> None:
        """Report what the whole scan shows."""
        self.has_scanned = True
        self._records.set_note(NOT_KEPT, str(self._not_kept + self._not_taken))
        if self._not_kept > NAMED_AT_MOST:
            self._found(FindingKind.ODD_FILE, "media", f"{self._not_kept} paths among the media are not kept")
        if self._not_taken:
            message = f"{self._not_taken} new media files are not kept: the history has reached its share of the disk"
            self._found(FindingKind.MEDIA_FULL, "media", message)
        if self.versions.is_sealed:
            self._conclude_objects(now)
            return
        gone, replaced = self.versions.ended_after(now - SUDDEN)
        total = self.versions.totals()[0] + gone
        if _is_sudden(replaced, total):
            self._found(
                FindingKind.MEDIA_REPLACED,
                "media",
                f"the server has replaced {replaced} of {total} media files within a day",
            )
        if _is_sudden(gone, total):
            self._found(
                FindingKind.MEDIA_REMOVED, "media", f"the server has deleted {gone} of {total} media files within a day"
            )

    def _conclude_objects(self, now: datetime) -> None:
        """Report if much of what is sealed has gone: a server seals no more than a few percent of it again in a day.

        Objects never change, so none is replaced. Those that an hour brings and a day joins are small.
        """
        count, gone_bytes, all_bytes = self.versions.objects_ended_after(now - SUDDEN)
        if gone_bytes > all_bytes / 2 or (count >= SUDDEN_COUNT and gone_bytes > SUDDEN_SHARE * all_bytes):
            message = f"the server has deleted {count} objects with sealed media within a day, {gone_bytes} bytes"
            self._found(FindingKind.MEDIA_REMOVED, "media", message)

    def _look_at(self, folder: int, path: bytes, name: bytes, now: datetime) -> None:
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        known = self.versions.present(path)
        if known is not None and known.state == ROTTEN:
            return  # what comes in its place is compared with it first, by whoever asked for it
        if known is not None and (known.inode, known.size_bytes) == (status.st_ino, status.st_size):
            self._note_mode(known, status.st_mode & 0o777, now)
            return
        # the most that it takes: one more version, and every folder on its way and on that of the one that is set aside
        folders = (path.count(b"/") + 2) * (1 if known is None else 2)
        needed = media_cost(status.st_size, len(path)) + folders * FOLDER_BYTES
        if self.cost_bytes() + needed > self._allowed_bytes:
            self._not_taken += 1
            return  # what is kept stays as it is, the version that would be replaced too
        if known is not None:
            self._set_aside(known, now)
        place = self._link(folder, name, path, now)
        if place is not None:
            self.versions.add(path, place, status.st_ino, status.st_size, now)
            added = self.versions.present(path)
            if added is not None:
                self._note_mode(added, status.st_mode & 0o777, now)

    def _note_mode(self, version: MediaVersion, mode: int, now: datetime) -> None:
        """Record the permissions if they have changed: Mastodon closes the files of suspended accounts by them alone.

        A history of links has the received file's; one of copies gets them here.
        """
        if version.mode == mode:
            return
        place = os.path.join(self._root, version.place)
        with suppress(FileNotFoundError):
            if stat.S_IMODE(os.lstat(place).st_mode) != mode:
                os.chmod(place, mode)
        self.versions.set_mode(version, mode, now)

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
                self._make_folder(os.path.dirname(target))
                os.link(source, target, follow_symlinks=False)
            except (FileExistsError, NotADirectoryError):
                with suppress(OSError):
                    return os.lstat(target).st_ino == inode  # linked by a run that was killed before it recorded it
                return False
        return True

    def _make_folder(self, folder: bytes) -> None:
        """Make the folder and those above it, and count what was made."""
        missing = []
        while not os.path.isdir(folder) and folder != self._root:
            missing.append(folder)
            folder = os.path.dirname(folder)
        for path in reversed(missing):
            os.mkdir(path)
            self._folders += 1

    def _set_aside(self, version: MediaVersion, now: datetime) -> None:
        """Make room at the version's path for the one that has taken its place."""
        place = self._aside(version.path, now)
        target = os.path.join(self._root, place)
        self._make_folder(os.path.dirname(target))
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
        number = 0
        with closing(Presence(self._received)) as received, closing(Presence(self._root)) as kept:
            while batch := self.versions.present_after(number, BATCH):
                for version in batch:
                    number = version.number
                    if kept.is_gone(version.place):
                        self.versions.forget(version)  # a power cut took the link; the next scan makes it again
                    elif version.state != ROTTEN and received.is_gone(version.path):
                        self.versions.end(version, now)
                    yield

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
                    self._folders -= 1
                    folder = os.path.dirname(folder)
        self.versions.forget(version)

    # --- after the records were lost ---

    def _find_again(self, now: datetime) -> Iterator[None]:
        """Record what is in the history: present, or gone from now on, so that it stays for the whole time again."""
        self._folders = 0
        with closing(Presence(self._received)) as received:
            for top, depth in ((PRESENT, 0), (REPLACED, 1)):
                root = os.path.join(self._root, top)
                if not os.path.isdir(root):
                    continue
                for folder, below, name in files_below(root, self._odd, self._count_folder):
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    path = below.split(b"/", depth)[depth]
                    is_present = top == PRESENT and received.inode(path) == status.st_ino
                    gone_at = None if is_present else now
                    self.versions.add(path, os.path.join(top, below), status.st_ino, status.st_size, now, gone_at)
                    yield

    def _count_folder(self) -> None:
        self._folders += 1


def _is_sudden(count: int, total: int) -> bool:
    return 2 * count > total or (count >= SUDDEN_COUNT and count > SUDDEN_SHARE * total)
