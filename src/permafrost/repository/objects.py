"""Objects: written once, named by the SHA-256 of their own bytes, never changed.

An object counts only after: temporary file, write, fsync, read back from the disk and compared, mode 0444,
rename to its name, fsync of both folders (docs/format.md, section 2).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import IntegrityError
from permafrost.repository.durable import fsync_folder, make_folder_durably, space_errors
from permafrost.repository.layout import FOLDER_MODE, OBJECT_MODE, Layout, object_name_of_file
from permafrost.small_files import open_regular, opened_folder

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that is durable: its name (SHA-256, hexadecimal) and its size."""

    name: str
    size_bytes: int


def put_object(layout: Layout, chunks: Iterable[bytes], finish: Callable[[], object]) -> StoredObject:
    """Store the bytes of `chunks` as an object and return it once it is durable.

    `finish` is called after the last chunk and before anything is published: it raises if the bytes' maker
    failed, and then no object appears. Raise `SpaceError` if the disk is full, `IntegrityError` if the disk
    does not give back what was written.
    """
    temporary = layout.temporary / f"object-{os.getpid()}-{os.urandom(6).hex()}"
    try:
        with space_errors(layout.root):
            stored = _write(temporary, chunks)
            finish()
            _read_back(temporary, stored)
            return _publish(layout, temporary, stored)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, chunks: Iterable[bytes]) -> StoredObject:
    digest = hashlib.sha256()
    size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
            digest.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
        # so that the read back comes from the disk, not from the page cache
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return StoredObject(digest.hexdigest(), size)


def _read_back(path: Path, stored: StoredObject) -> None:
    if hash_file(path) != stored:
        raise IntegrityError(
            f"the disk that holds {path.parent} did not return what was written to it",
            unchanged="all existing snapshots",
            hint="check the kernel's log and the disk (dmesg, smartctl) before you trust this machine",
        )


def _publish(layout: Layout, temporary: Path, stored: StoredObject) -> StoredObject:
    place = layout.object(stored.name)
    make_folder_durably(place.parent, FOLDER_MODE)
    temporary.chmod(OBJECT_MODE)
    temporary.replace(place)
    fsync_folder(place.parent)
    return stored


def hash_file(path: Path) -> StoredObject:
    """Return what an object with the bytes of `path` would be named, and their count.

    Raise `NotAFileError` if it is no regular file.
    """
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return StoredObject(digest.hexdigest(), size)


@contextmanager
def open_object(layout: Layout, expected: StoredObject) -> Iterator[int]:
    """Yield a descriptor on an object whose bytes were just compared with its name and size.

    The file is opened once, and no link on the way to it is followed, so that what was checked is what is read.
    Raise `IntegrityError` if it is missing or is not what its name says.
    """
    place = layout.object(expected.name)
    try:
        with opened_folder(Path(os.path.realpath(layout.root)), place.parent.parent.name, place.parent.name) as folder:
            descriptor = open_regular(place.name, folder=folder)
    except OSError as error:
        raise IntegrityError(
            f"the object {expected.name} cannot be read: {error.strerror}", hint="copy it from another vault"
        ) from error
    try:
        digest = hashlib.sha256()
        size = 0
        has_its_size = os.fstat(descriptor).st_size == expected.size_bytes  # a giant is not read
        while has_its_size and (chunk := os.read(descriptor, _READ_BYTES)):
            digest.update(chunk)
            size += len(chunk)
        if StoredObject(digest.hexdigest(), size) != expected:
            raise IntegrityError(
                f"the object {expected.name} is corrupt: its bytes are not what its name says",
                hint="copy it from another vault; permafrost verify lists every bad object",
            )
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def stored_objects(layout: Layout) -> Iterator[tuple[str, Path]]:
    """Yield the name and file of everything in objects/ that has an object's name, in order of name.

    The names of one folder are in memory at a time: a repository may have hundreds of thousands.
    """
    if not layout.objects.is_dir():
        return
    with os.scandir(layout.objects) as entries:
        folders = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for folder in folders:
        place = layout.objects / folder
        with os.scandir(place) as entries:
            file_names = sorted(entry.name for entry in entries)
        for file_name in file_names:
            name = object_name_of_file(file_name)
            if name is not None and name.startswith(folder):
                yield name, place / file_name
