"""Makes the media list of a snapshot: the whole of it once a day, otherwise what has changed since the last run.

What the last run listed is known by the ids of its rows and by its snapshot's xmin, in the state folder. If that does
not belong to the list in the repository, or to this server's history, the whole is listed again. A list that cannot be
made is a warning: it must not stand in the way of a backup.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import zstandard

from permafrost.engines.context import RunContext
from permafrost.errors import PermafrostError
from permafrost.events import Warned
from permafrost.mastodon.media_paths import id_partition
from permafrost.mastodon.media_rows import Ids, ids_of_rows, listed_attachments, listed_rows, snapshot_xmin
from permafrost.openpgp.signing import sign_detached
from permafrost.postgres.catalog import TableName
from permafrost.postgres.identity import ServerIdentity, read_identity
from permafrost.repository.durable import fsync_folder, make_folder_durably, space_errors, write_durably
from permafrost.repository.layout import OBJECT_MODE, SnapshotId
from permafrost.repository.media_list import (
    INDEX_FILE,
    MAXIMUM_INDEX_BYTES,
    MEDIA_LIST,
    MOST_PARTS,
    ListPart,
    MediaListIndex,
    SignedMediaList,
    gone_row,
    parse_signed_list,
)
from permafrost.small_files import read_small

STATE_FILE = "media-list.npz"
WHOLE_EVERY = timedelta(hours=24)
_HEAD = "head"
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last run listed: its index's digest, its place in the server's history, and ids by folder."""

    head: Mapping[str, object]
    ids: Mapping[str, Ids]

    @property
    def whole_at(self) -> datetime:
        """When the whole was listed last."""
        return datetime.fromisoformat(str(self.head["whole_at"]))

    @property
    def xmin(self) -> int:
        """The xmin of that run's snapshot."""
        return int(str(self.head["xmin"]))


@dataclass(frozen=True, slots=True)
class PreparedMediaList:
    """A list that is read, and not published yet: its parts, of which the last may be new, in the folder for such."""

    parts: tuple[ListPart, ...]
    new_part: Path | None
    rows: int
    head: Mapping[str, object]
    ids: Mapping[str, Ids]

    @property
    def new_bytes(self) -> int:
        """The size of the new part."""
        return self.parts[-1].size_bytes if self.new_part is not None else 0


def read_media_list(run: RunContext, connection: psycopg.Connection) -> PreparedMediaList | None:
    """Read the list in the transaction of `connection`, and return it; None if there is none to be had.

    That is so without `[media]`, and for a database without Mastodon's tables.
    """
    if run.configuration.media is None:
        return None
    try:
        with connection.transaction():
            return _read(run, connection)
    except (psycopg.Error, PermafrostError) as error:
        run.report(Warned(f"the list of media files stays as it was: {str(error).partition(chr(10))[0]}"))
        return None


def _read(run: RunContext, connection: psycopg.Connection) -> PreparedMediaList | None:
    found = listed_attachments(connection)
    attachments = {
        one: where for one, where in found.items() if not run.left_out.covers(TableName("public", one.table))
    }
    if not attachments:
        return None
    identity, xmin = read_identity(connection), snapshot_xmin(connection)
    ids = {one.folder: ids_of_rows(connection, one, where) for one, where in attachments.items()}
    index, digest = _published(run)
    known = _known(run, digest)
    reads_changes = known is not None and index is not None and _continues(run, known, index, identity, set(ids))
    since = known.xmin if reads_changes and known is not None else None
    rows = listed_rows(connection, attachments, run.repository.repository_id, since)
    before = index.parts if reads_changes and index is not None else ()
    gone = _gone(known.ids, ids) if reads_changes and known is not None else iter(())
    part, file = _write_part(run, rows, gone, is_whole=not reads_changes)
    whole_at = known.whole_at if reads_changes and known is not None else run.now
    head = {"xmin": xmin, "whole_at": whole_at.isoformat(), "identity": asdict(identity)}
    parts = (*before, part) if part is not None else before
    return PreparedMediaList(parts, file, sum(map(len, ids.values())), head, ids)


def _continues(
    run: RunContext, known: _Known, index: MediaListIndex, identity: ServerIdentity, folders: set[str]
) -> bool:
    """Return whether what has changed since the known run, added to the published list, is the whole again."""
    earlier = ServerIdentity(**known.head["identity"])  # type: ignore[arg-type] # as it was put in
    return (
        not run.is_full
        and timedelta(0) <= run.now - known.whole_at < WHOLE_EVERY
        and len(index.parts) < MOST_PARTS
        and known.ids.keys() == folders
        and identity.may_continue(earlier)
        and all((run.layout.root / MEDIA_LIST / part.file_name).is_file() for part in index.parts)
    )


def _gone(before: Mapping[str, Ids], now: Mapping[str, Ids]) -> Iterator[bytes]:
    """Yield the lines of the rows that were listed, and have no files any more."""
    for folder, ids in before.items():
        for number in np.setdiff1d(ids, now[folder], assume_unique=True):
            yield gone_row(f"{folder}/{id_partition(int(number))}")


def _write_part(
    run: RunContext, rows: Iterator[bytes], gone: Iterator[bytes], *, is_whole: bool
) -> tuple[ListPart | None, Path | None]:
    """Write a part into the folder for unfinished files; none if nothing has changed."""
    file = run.layout.temporary / f"media-list-{time.monotonic_ns()}"
    compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    digest, size, is_empty = hashlib.sha256(), 0, True
    with space_errors(file.parent), file.open("xb") as writing:
        for chunks in (gone, rows):  # a row that is gone may have given its folder to another
            for chunk in chunks:
                is_empty = False
                packed = compressor.compress(chunk)
                digest.update(packed)
                size += writing.write(packed)
        packed = compressor.flush()
        digest.update(packed)
        size += writing.write(packed)
        writing.flush()
        os.fsync(writing.fileno())
        os.fchmod(writing.fileno(), OBJECT_MODE)
    if is_empty and not is_whole:
        file.unlink()
        return None, None
    return ListPart(name=digest.hexdigest(), size_bytes=size), file


def publish_media_list(run: RunContext, prepared: PreparedMediaList | None, snapshot: SnapshotId) -> int:
    """Make the repository's media list that of the snapshot, and return how many bytes are new.

    After the snapshot itself: what is lost between the two is made again by the next run.
    """
    folder = run.layout.root / MEDIA_LIST
    if prepared is None:
        if run.configuration.media is None and folder.is_dir():
            _remove_others(folder, set())
        return 0
    make_folder_durably(folder)
    if prepared.new_part is not None:
        prepared.new_part.replace(folder / prepared.parts[-1].file_name)
        fsync_folder(folder)
    index = MediaListIndex(
        repository=run.repository.repository_id,
        snapshot=str(snapshot),
        made_at=run.now,
        rows=prepared.rows,
        parts=prepared.parts,
    )
    text = index.model_dump_json()
    before, _ = _published(run)
    signature = sign_detached(run.configuration.signing.gnupg_home, run.repository.fingerprint, text.encode())
    content = SignedMediaList(content=text, signature=signature.decode("ascii")).encode()
    write_durably(folder / INDEX_FILE, content, OBJECT_MODE)
    needed = [*index.parts, *(before.parts if before is not None else ())]  # a vault may be reading the last ones
    _remove_others(folder, {INDEX_FILE, *(part.file_name for part in needed)})
    _remember(run, prepared, hashlib.sha256(content).hexdigest())
    return prepared.new_bytes + len(content)


def _remove_others(folder: Path, needed: set[str]) -> None:
    for file in folder.iterdir():
        if file.name not in needed and not file.name.startswith("."):
            file.unlink()


def _published(run: RunContext) -> tuple[MediaListIndex | None, str]:
    """Return the repository's list and its file's digest; None if there is none that can be read."""
    try:
        content = read_small(run.layout.root / MEDIA_LIST / INDEX_FILE, MAXIMUM_INDEX_BYTES)
        return parse_signed_list(content).index(run.repository.repository_id), hashlib.sha256(content).hexdigest()
    except (OSError, PermafrostError):
        return None, ""


def _known(run: RunContext, digest: str) -> _Known | None:
    """Return what the last run listed, None if that is not known, or is not about the list with that digest."""
    try:
        file = run.configuration.state.path / STATE_FILE
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            head = json.loads(bytes(arrays[_HEAD]))
            ids = {name: arrays[name] for name in arrays.files if name != _HEAD}
        return _Known(head, ids) if head["index"] == digest else None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _remember(run: RunContext, prepared: PreparedMediaList, digest: str) -> None:
    head = json.dumps({**prepared.head, "index": digest}).encode()
    file = run.configuration.state.path / STATE_FILE
    temporary = file.with_name(f".{STATE_FILE}.new")
    arrays: dict[str, np.ndarray] = {_HEAD: np.frombuffer(head, np.uint8), **prepared.ids}
    with temporary.open("wb") as writing:
        np.savez(writing, allow_pickle=False, **arrays)
    temporary.replace(file)
