"""Makes the media list of a snapshot: what has changed since the last run, and once a day the whole of it, in one part.

The whole is folded from the parts that there are (media_list_folding.py), and once a week it is read from the database.
What the last run listed is known by the ids of its rows and by its snapshot's xmin (media_list_state.py). If that does
not belong to the list in the repository, or to this server's history, the whole is listed again. Tables that the
segment log found unchanged are not read; if none has changed, the published list is the new snapshot's too. A list
that cannot be made or published is a warning: it must not stand in the way of a backup.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import psycopg
import zstandard

from permafrost.engines.context import RunContext
from permafrost.engines.media_list_folding import can_be_folded, folded
from permafrost.engines.media_list_publishing import (
    CurrentList,
    PreparedKeys,
    PreparedMediaList,
    keys_folder,
    list_folder,
    public_url,
    published_keys,
    published_list,
    warn_of_list,
)
from permafrost.engines.media_list_state import ListHead, Unchanged, known_head, known_ids
from permafrost.errors import IntegrityError, PermafrostError
from permafrost.events import Warned
from permafrost.mastodon.columns import SCHEMA
from permafrost.mastodon.media_paths import Attachment, id_partition
from permafrost.mastodon.media_rows import Ids, ids_of_rows, key_rows, listed_attachments, listed_rows, snapshot_xmin
from permafrost.postgres.catalog import TableName
from permafrost.postgres.identity import ServerIdentity, read_identity
from permafrost.repository.durable import space_errors
from permafrost.repository.layout import OBJECT_MODE
from permafrost.repository.media_list import (
    KEY_LIST,
    MOST_PARTS,
    KeyListIndex,
    ListPart,
    MediaListIndex,
    gone_row,
)

WHOLE_EVERY = timedelta(days=7)
FOLDED_EVERY = timedelta(hours=24)
MOST_TRANSACTIONS = 1 << 30
"""Between two lists: what is older than twice that seems to be of the future."""
PARTS_BEFORE_FOLDING = MOST_PARTS // 4
"""With a backup a minute the index, which is sent again with each part, stays below 60 kB."""
_LEVEL = 1
"""Of lists, smaller than level 3 makes them, and in a third of its time: most of a line is a hash."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The published list, with what is known of the rows that it names."""

    index: MediaListIndex
    head: ListHead
    keys: KeyListIndex | None
    """The key list, if the files are in an object store."""


def read_media_list(
    run: RunContext, connection: psycopg.Connection, unchanged: Unchanged | None = None
) -> CurrentList | None:
    """Read the list in the transaction of `connection`, and return it; None if there is none to be had.

    That is so without `[media]`, and for a database without Mastodon's tables.
    """
    folder = list_folder(run.configuration)
    if folder is None:
        return None
    try:
        last = _last(run, folder)
        if (
            last is not None
            and unchanged is not None
            and unchanged.is_all
            and unchanged.listed_at == last.head.listed_at
            and not _folds(run, last.index, last.head)
        ):
            return CurrentList(last.head.listed_at, None)
        with run.times.of("frame"), connection.transaction():
            return _read(run, folder, connection, last, unchanged)
    except (psycopg.Error, PermafrostError, OSError) as error:
        warn_of_list(run, error)
        return None


def _last(run: RunContext, folder: Path) -> _Last | None:
    """Return the published list if what changes can be added to it, as far as this can be said without the database."""
    index, digest = published_list(run, folder)
    head = known_head(run.configuration.state.path, digest)
    if index is None or head is None or run.is_full:
        return None
    is_recent = timedelta(0) <= run.now - head.whole_at < WHOLE_EVERY
    is_recent = is_recent and (not _folds(run, index, head) or can_be_folded(index.parts))
    is_there = _are_there(folder, index)
    keys = published_keys(run) if public_url(run) is not None else None
    if public_url(run) is not None:
        is_same = keys is not None and (keys.snapshot, keys.public_url) == (index.snapshot, public_url(run))
        is_there = is_there and keys is not None and is_same and _are_there(keys_folder(run), keys)
    return _Last(index, head, keys) if is_recent and is_there else None


def _folds(run: RunContext, index: MediaListIndex, head: ListHead) -> bool:
    """Return whether the parts are to become one."""
    is_due = not timedelta(0) <= run.now - head.folded_at < FOLDED_EVERY or len(index.parts) >= PARTS_BEFORE_FOLDING
    return is_due and len(index.parts) > 1


def _are_there(folder: Path, index: MediaListIndex) -> bool:
    return all((folder / part.file_name).is_file() for part in index.parts)


def _read(
    run: RunContext, folder: Path, connection: psycopg.Connection, last: _Last | None, unchanged: Unchanged | None
) -> CurrentList | None:
    attachments = {
        attachment: where
        for attachment, where in listed_attachments(connection).items()
        if not run.left_out.covers(TableName(SCHEMA, attachment.table))
    }
    if not attachments:
        return None
    identity, xmin = read_identity(connection), snapshot_xmin(connection)
    before = known_ids(run.configuration.state.path) if last is not None else None
    moment = _Moment(attachments, identity, xmin)
    if last is not None and before is not None and _continues(last.head, before, moment):
        try:
            return _changed(run, folder, connection, last, before, moment, unchanged)
        except IntegrityError as error:
            run.report(Warned(f"all media are listed again: {error.message}"))
    ids = _ids(connection, attachments)
    rows = listed_rows(connection, attachments, run.repository.repository_id, None)
    part = _extended(_temporary(run, folder), folder, (), rows, folds=False)
    keys = _keys(run, (), key_rows(connection, attachments, None), folds=False)
    head = ListHead(run.now.isoformat(), run.now, run.now, xmin, identity)
    return CurrentList(head.listed_at, PreparedMediaList(folder, *part, head, ids, keys))


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the run's transaction sees: the classes of files with their conditions, which server, and its xmin."""

    attachments: Mapping[Attachment, str]
    identity: ServerIdentity
    xmin: int


def _changed(
    run: RunContext,
    folder: Path,
    connection: psycopg.Connection,
    last: _Last,
    before: Mapping[str, Ids],
    moment: _Moment,
    unchanged: Unchanged | None,
) -> CurrentList:
    """Return the last list with what has changed since then; raise `IntegrityError` if its parts are damaged."""
    skipped = unchanged.tables if unchanged is not None and unchanged.listed_at == last.head.listed_at else frozenset()
    read = {attachment: where for attachment, where in moment.attachments.items() if attachment.table not in skipped}
    ids = {**before, **_ids(connection, read)}
    rows = listed_rows(connection, read, run.repository.repository_id, last.head.xmin)
    changes = chain(_gone(before, ids), rows)
    first, folds = next(changes, None), _folds(run, last.index, last.head)
    if first is None and not folds:
        return CurrentList(last.head.listed_at, None)
    changes = chain((first or b"",), changes)
    part = _extended(_temporary(run, folder), folder, last.index.parts, changes, folds=folds)
    changed_keys = chain(_gone(before, ids), key_rows(connection, read, last.head.xmin))
    keys = _keys(run, last.keys.parts if last.keys is not None else (), changed_keys, folds=folds)
    folded_at = run.now if folds else last.head.folded_at
    head = ListHead(run.now.isoformat(), last.head.whole_at, folded_at, moment.xmin, moment.identity)
    return CurrentList(head.listed_at, PreparedMediaList(folder, *part, head, ids, keys))


def _extended(
    file: Path, folder: Path, before: tuple[ListPart, ...], changes: Iterator[bytes], *, folds: bool
) -> tuple[tuple[ListPart, ...], ListPart, Path]:
    """Write the changes as a part; return the parts in front of it, and it with its file. With `folds`, all are one."""
    part, file = _written(file, changes)
    if not folds:
        return before, part, file
    whole = file.with_name(f"{file.name}.whole")
    whole.unlink(missing_ok=True)
    written = _written(whole, folded([*((folder / one.file_name, one) for one in before), (file, part)]))
    file.unlink()
    return (), *written


def _keys(
    run: RunContext, before: tuple[ListPart, ...], chunks: Iterator[bytes], *, folds: bool
) -> PreparedKeys | None:
    """Write the key list's part beside its folder, if there is to be one."""
    url = public_url(run)
    if url is None:
        return None
    file = keys_folder(run).with_name(f"{KEY_LIST}.new")
    file.unlink(missing_ok=True)
    return PreparedKeys(*_extended(file, keys_folder(run), before, chunks, folds=folds), url)


def _ids(connection: psycopg.Connection, attachments: Mapping[Attachment, str]) -> dict[str, Ids]:
    return {attachment.folder: ids_of_rows(connection, attachment, where) for attachment, where in attachments.items()}


def _continues(head: ListHead, before: Mapping[str, Ids], moment: _Moment) -> bool:
    """Return whether what has changed since the last list, added to it, is the whole again."""
    has_same = before.keys() == {attachment.folder for attachment in moment.attachments}
    return has_same and moment.identity.may_continue(head.identity) and moment.xmin - head.xmin < MOST_TRANSACTIONS


def _gone(before: Mapping[str, Ids], now: Mapping[str, Ids]) -> Iterator[bytes]:
    """Yield the lines of the rows that were listed, and have no files any more.

    They come first: a row that is gone may have given its folder to another.
    """
    for folder, ids in before.items():
        if ids is not now[folder]:
            for number in np.setdiff1d(ids, now[folder], assume_unique=True):
                yield gone_row(f"{folder}/{id_partition(int(number))}")


def _temporary(run: RunContext, folder: Path) -> Path:
    """Return a name on the disk of the list's folder: in the repository its own folder for unfinished files."""
    if folder.parent == run.layout.root:
        return run.layout.temporary / f"media-list-{time.monotonic_ns()}"
    file = folder.with_name(f"{folder.name}.new")
    file.unlink(missing_ok=True)
    return file


def _written(file: Path, chunks: Iterator[bytes]) -> tuple[ListPart, Path]:
    """Write a part as a new file, and return both."""
    digest, size = hashlib.sha256(), 0
    with space_errors(file.parent), file.open("xb") as writing:
        for packed in _packed(chunks):
            digest.update(packed)
            size += writing.write(packed)
        writing.flush()
        os.fsync(writing.fileno())
        os.fchmod(writing.fileno(), OBJECT_MODE)
    return ListPart(name=digest.hexdigest(), size_bytes=size), file


def _packed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    yield from map(compressor.compress, chunks)
    yield compressor.flush()
