"""Lays the media of a snapshot out in a folder. A file appears under its name only when it is whole."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from permafrost.documents.restore import RestoredMediaDocument
from permafrost.errors import RestoreRefusedError
from permafrost.events import Progress, Reporter
from permafrost.loading.media.source import MediaFile, MediaSource, media_source
from permafrost.repository.durable import space_errors
from permafrost.small_files import NotAFileError, open_regular, opened_folder

NAMED_AT_MOST = 5
CLOSED = 0o600
FOLDER_MODE = 0o755
TELL_EVERY = 1000
UNFINISHED = ".permafrost-media"


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """Where the media go, and where they come from; `merges`: into a folder with files, which may be replaced."""

    to: Path
    source: Path | None = None
    merges: bool = False

    @property
    def missing_list(self) -> Path:
        """The file that names what rows expect and was never there; it is made only if there is something to name."""
        return self.to.with_name(f"{self.to.name}.missing.txt")

    def check(self) -> None:
        """Raise `RestoreRefusedError` if files that exist would be replaced, and nobody has asked for that."""
        if self.to.exists() and not self.to.is_dir():
            raise RestoreRefusedError(f"{self.to} is not a folder", hint="give --media-to a new folder")
        if not self.merges and self.to.is_dir() and any(self.to.iterdir()):
            raise RestoreRefusedError(
                f"{self.to} is not empty", hint="give --media-to a new folder, or --media-merge to replace its files"
            )


def source_for(request: MediaRequest | None, repository: Path, snapshot: str) -> MediaSource | None:
    """Return where the media are taken from, None if nobody asks for them; raise `RestoreRefusedError` as both do."""
    if request is None:
        return None
    request.check()
    return media_source(request.source, repository, snapshot)


@dataclass(slots=True)
class RestoredMedia:
    """What was laid out, and how it compares with the rows.

    `missing` files are expected by rows and were never there, `not_copied` are paths of the source that are no regular
    files or could not be read. `first_missing` and `first_not_copied` name some of them.
    """

    request: MediaRequest
    files: int = 0
    size_bytes: int = 0
    expected: int = 0
    missing: int = 0
    closed: int = 0
    not_copied: int = 0
    first_missing: list[str] = field(default_factory=list)
    first_not_copied: list[str] = field(default_factory=list)

    def document(self) -> RestoredMediaDocument:
        """Return it for JSON."""
        return RestoredMediaDocument(
            path=str(self.request.to),
            files=self.files,
            bytes=self.size_bytes,
            expected=self.expected,
            missing=self.missing,
            missing_list=str(self.request.missing_list) if self.missing else None,
            closed=self.closed,
            not_copied=self.not_copied,
        )

    def odd(self, path: bytes, reason: str) -> None:
        """Count what is not copied."""
        self.not_copied += 1
        if len(self.first_not_copied) < NAMED_AT_MOST:
            self.first_not_copied.append(f"{os.fsdecode(path)!r}: {reason}")


def lay_out(source: MediaSource, snapshot: str, target: Path, restored: RestoredMedia, report: Reporter) -> None:
    """Copy the snapshot's media into `target`, a file that is there with the same size and time left alone."""
    with space_errors(target.parent):
        target.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for file in source.files(snapshot, restored.odd):
            try:
                _copy(source, file, target, restored)
            except FileNotFoundError:
                restored.odd(file.path, "it no longer exists")
            except (NotAFileError, IsADirectoryError):
                restored.odd(file.path, "it, or what is in its place, is not a regular file")
            if restored.files % TELL_EVERY == 0:
                report(Progress(restored.files, None, "files"))


def _copy(source: MediaSource, file: MediaFile, target: Path, restored: RestoredMedia) -> None:
    *from_folders, from_name = os.fsdecode(file.place).split("/")
    *folders, name = os.fsdecode(file.path).split("/")
    with (
        opened_folder(source.root, *from_folders) as below,
        os.fdopen(open_regular(from_name, folder=below), "rb") as reading_from,
        made_folder(target, folders) as folder,
    ):
        status = os.fstat(reading_from.fileno())
        if not is_there(folder, name, status.st_size, status.st_mtime_ns):
            _write(reading_from.fileno(), status, file.mode, folder, name)
    restored.files += 1
    restored.size_bytes += status.st_size


def is_there(folder: int, name: str, size_bytes: int, mtime_ns: int) -> bool:
    """Return whether the file in the opened folder has that size and time already."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (size_bytes, mtime_ns)


def new_unfinished(folder: int) -> int:
    """Return the descriptor of a new file named `UNFINISHED` in the folder, which only its owner can read."""
    with suppress(FileNotFoundError):  # a killed restore's; or a pipe, which would be waited for
        os.unlink(UNFINISHED, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(UNFINISHED, flags, CLOSED, dir_fd=folder)


def _write(descriptor: int, status: os.stat_result, mode: int | None, folder: int, name: str) -> None:
    written = new_unfinished(folder)
    with os.fdopen(written, "wb") as writing, os.fdopen(os.dup(descriptor), "rb") as content:
        shutil.copyfileobj(content, writing, 1 << 20)
        writing.flush()
        os.fchmod(written, (stat.S_IMODE(status.st_mode) if mode is None else mode) & 0o666)
        os.utime(written, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(UNFINISHED, name, src_dir_fd=folder, dst_dir_fd=folder)


@contextmanager
def made_folder(root: Path, names: list[str]) -> Iterator[int]:
    """Yield a descriptor on the folder below `root`, which is made; no link is followed, whoever has put it there."""
    for depth in range(len(names)):
        with opened_folder(root, *names[:depth]) as above:
            try:
                os.mkdir(names[depth], FOLDER_MODE, dir_fd=above)
            except FileExistsError:
                continue
    with opened_folder(root, *names) as folder:
        yield folder
