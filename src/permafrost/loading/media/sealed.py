"""Lays sealed media out: every file's bytes are compared with what the catalog says of them before it has its name.

The catalog may name millions of files, so it is sorted in a temporary database of SQLite's own, on the disk. Each pack
is opened once. What cannot be had is counted and named, and ends nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.events import Progress, Reporter
from permafrost.loading.media.laying_out import (
    FOLDER_MODE,
    UNFINISHED,
    RestoredMedia,
    is_there,
    made_folder,
    new_unfinished,
)
from permafrost.loading.media.source import REMOTE, SealedMedia
from permafrost.openpgp.sealing import OpeningKey
from permafrost.openpgp.signing import Verifier
from permafrost.repository.durable import space_errors
from permafrost.repository.layout import Layout
from permafrost.repository.objects import StoredObject
from permafrost.sealed_media.index import SealedIndex, check_signature, read_index
from permafrost.sealed_media.lines import SealedFile
from permafrost.sealed_media.reading import StoreReader
from permafrost.small_files import NotAFileError, open_regular, opened_folder
from permafrost.vault.media.moment import leads_outside

_READ_BYTES = 1 << 20
_SCHEMA = """
CREATE TABLE files (
    path BLOB PRIMARY KEY, object TEXT NOT NULL, offset INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, mode INTEGER NOT NULL, mtime_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
_OF_OBJECT = """
SELECT path, object, offset, size_bytes, sha256, mode, mtime_ns FROM files WHERE object = ? ORDER BY offset, size_bytes
"""


@dataclass(frozen=True, slots=True)
class SealedOpening:
    """What opens sealed media: the key, the GnuPG home that holds it if it is a secret key, and whom to trust."""

    key: OpeningKey
    home: Path
    verifier: Verifier
    repository_id: str

    def index(self, sealed: SealedMedia) -> SealedIndex:
        """Return the index, signed by the trusted key; raise `IntegrityError` if it is not."""
        published = read_index(sealed.index, self.repository_id)
        check_signature(published, self.verifier)
        return published.index


def lay_out_sealed(
    sealed: SealedMedia, opening: SealedOpening, target: Path, restored: RestoredMedia, report: Reporter
) -> None:
    """Restore the files that the store has into `target`; one that is there with its size and time is left alone."""
    index = opening.index(sealed)
    reader = StoreReader(Layout(sealed.store), opening.key, opening.home)
    with closing(sqlite3.connect("")) as catalog, space_errors(target.parent):
        target.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        catalog.executescript(_SCHEMA)
        _read_catalog(catalog, reader, index, restored)
        catalog.execute("CREATE INDEX by_object ON files (object, offset)")
        names = [str(row[0]) for row in catalog.execute("SELECT DISTINCT object FROM files ORDER BY object")]
        for name in names:
            _lay_out_pack(catalog, reader, name, target, restored)
            report(Progress(restored.files, None, "files"))


def _read_catalog(
    catalog: sqlite3.Connection, reader: StoreReader, index: SealedIndex, restored: RestoredMedia
) -> None:
    """Read every segment; a later one that is missing costs what was new in it, the first one everything."""
    for number, part in enumerate(index.catalog):
        try:
            lines = reader.catalog_lines(StoredObject(part.name, part.size_bytes))
            with catalog:
                for said in lines:
                    _take(catalog, said)
        except IntegrityError as error:
            if number == 0:
                raise
            restored.odd(f"objects/{part.name}".encode(), f"a part of the catalog: {error.message}")


def _take(catalog: sqlite3.Connection, said: SealedFile | bytes) -> None:
    path = said.path if isinstance(said, SealedFile) else said
    if leads_outside(path):
        raise RepositoryError(f"the sealed catalog names a file outside of its folder: {path[:100]!r}")
    if not isinstance(said, SealedFile):
        catalog.execute("DELETE FROM files WHERE path = ?", (path,))
    elif not path.startswith(REMOTE):
        values = (path, said.object_name, said.offset, said.size_bytes, said.sha256, said.mode, said.mtime_ns)
        catalog.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def _lay_out_pack(
    catalog: sqlite3.Connection, reader: StoreReader, name: str, target: Path, restored: RestoredMedia
) -> None:
    missing = []
    for row in catalog.execute(_OF_OBJECT, (name,)):
        file = SealedFile(*row)
        if _is_laid_out(target, file):
            _count(restored, file)
        else:
            missing.append(file)
    pending = dict.fromkeys(missing)
    try:
        with reader.pack(name) if missing else nullcontext() as stream:
            last: SealedFile | None = None
            for file in missing:
                del pending[file]
                assert stream is not None  # noqa: S101 - as something is missing
                has_same = last is not None and (last.offset, last.sha256) == (file.offset, file.sha256)
                content = (
                    _content_of(target, last) if last and has_same else stream.read_at(file.offset, file.size_bytes)
                )
                if _lay_out_file(content, file, target, restored):
                    last = file
    except IntegrityError as error:
        for file in pending:
            restored.odd(file.path, error.message)


def _lay_out_file(content: Iterable[bytes], file: SealedFile, target: Path, restored: RestoredMedia) -> bool:
    """Write the file, and return whether it is right; otherwise it is counted as not copied."""
    try:
        _write(target, file, content)
    except (OSError, IntegrityError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        restored.odd(file.path, str(error.strerror if isinstance(error, OSError) else error.message))
        return False
    _count(restored, file)
    return True


def _count(restored: RestoredMedia, file: SealedFile) -> None:
    restored.files += 1
    restored.size_bytes += file.size_bytes


def _names_of(file: SealedFile) -> tuple[list[str], str]:
    *folders, name = os.fsdecode(file.path).split("/")
    return folders, name


def _is_laid_out(target: Path, file: SealedFile) -> bool:
    folders, name = _names_of(file)
    try:
        with opened_folder(target, *folders) as folder:
            return is_there(folder, name, file.size_bytes, file.mtime_ns)
    except (FileNotFoundError, NotAFileError):
        return False


def _content_of(target: Path, file: SealedFile) -> Iterator[bytes]:
    """Yield the bytes of a file that was laid out just now, of which another one is a copy."""
    folders, name = _names_of(file)
    with opened_folder(target, *folders) as folder, os.fdopen(open_regular(name, folder=folder), "rb") as content:
        while chunk := content.read(_READ_BYTES):
            yield chunk


def _write(target: Path, file: SealedFile, content: Iterable[bytes]) -> None:
    """Write the file, and give it its name if its bytes are right; raise `IntegrityError` if they are not."""
    folders, name = _names_of(file)
    digest = hashlib.sha256()
    with made_folder(target, folders) as folder:
        descriptor = new_unfinished(folder)
        with os.fdopen(descriptor, "wb") as writing:
            for chunk in content:
                digest.update(chunk)
                writing.write(chunk)
            writing.flush()
            os.fchmod(descriptor, file.mode & 0o666)
            os.utime(descriptor, ns=(file.mtime_ns, file.mtime_ns))
        if digest.hexdigest() != file.sha256:
            os.unlink(UNFINISHED, dir_fd=folder)
            raise IntegrityError("its bytes are not what the catalog says")
        os.replace(UNFINISHED, name, src_dir_fd=folder, dst_dir_fd=folder)
