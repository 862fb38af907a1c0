"""Files that are too large for one PUT go in parts, each with its own SHA-256.

A store keeps no SHA-256 of such an object, only a sum of its parts' sums. So that its bytes are those of its name is
seen here: all parts are read in order, hashed together, and the object is made only if that gives the name, of parts
whose sums the store has compared. From then on the version that was made stands for the bytes, as with any file;
without the record, only a download proves them.

An upload that broke off is resumed: the parts that arrived are recorded. One that nobody needs any more is abandoned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import IO

from permafrost.buckets.failures import ExistsError, MissingError, UnsupportedError
from permafrost.buckets.files import RepositoryFile
from permafrost.buckets.record import BucketRecord, PartsUpload
from permafrost.buckets.store import BucketStore, PartOf, Stored
from permafrost.errors import BucketRefusedError, IntegrityError

MOST_PUT_BYTES = 5 << 30
"""A single PUT takes no more: https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html"""
PART_BYTES = 512 << 20
"""An object has at most 10,000 parts, so 5 TB, which is the most that an object may have."""
_PIECE_BYTES = 1 << 20


def put_in_parts(
    store: BucketStore,
    record: BucketRecord,
    file: RepositoryFile,
    body: IO[bytes],
    *,
    locked_until: datetime | None,
    creates_only: bool,
) -> tuple[Stored, datetime | None]:
    """Put the file at `body` into the bucket; return what it is there, and until when it is locked.

    Once that is recorded, `record.forget_parts` may follow.
    Raise `IntegrityError` if its bytes do not have its SHA-256: nothing appears in the bucket then.
    """
    upload = record.parts(file.path)
    try:
        return _put(store, record, file, body, upload or _begin(store, record, file, locked_until), creates_only)
    except MissingError:
        if upload is None:
            raise
    # the store has forgotten an upload that was begun before
    record.forget_parts(file.path)
    body.seek(0)
    return _put(store, record, file, body, _begin(store, record, file, locked_until), creates_only)


def abandon_parts(store: BucketStore, record: BucketRecord, path: str) -> None:
    """Remove what arrived of a file that nobody needs any more."""
    upload = record.parts(path)
    if upload is not None:
        with suppress(MissingError, BucketRefusedError):  # gone already, or for the provider to remove
            store.abandon_parts(store.address.key(path), upload.upload)
        record.forget_parts(path)


def _begin(
    store: BucketStore, record: BucketRecord, file: RepositoryFile, locked_until: datetime | None
) -> PartsUpload:
    upload = store.begin_parts(store.address.key(file.path), locked_until)
    made = PartsUpload(upload, PART_BYTES, locked_until, {})
    record.begin_parts(file.path, made)
    return made


def _put(
    store: BucketStore,
    record: BucketRecord,
    file: RepositoryFile,
    body: IO[bytes],
    upload: PartsUpload,
    creates_only: bool,
) -> tuple[Stored, datetime | None]:
    key, whole = store.address.key(file.path), hashlib.sha256()
    parts: list[tuple[str, str]] = []
    for number, (start, size_bytes, sha256) in enumerate(_hashed(body, upload.part_bytes, whole), 1):
        tag, known = upload.parts.get(number, ("", ""))
        if known != sha256:
            body.seek(start)
            tag = store.put_part(key, upload.upload, number, PartOf(body, size_bytes), sha256)
            body.seek(start + size_bytes)
            record.add_part(file.path, number, tag, sha256)
        parts.append((tag, sha256))
    if whole.hexdigest() != file.sha256:
        abandon_parts(store, record, file.path)
        raise IntegrityError(f"storing {key} failed: what was read here is not what its name says")
    return _finish(store, key, upload.upload, parts, creates_only=creates_only), upload.locked_until


def _finish(store: BucketStore, key: str, upload: str, parts: list[tuple[str, str]], *, creates_only: bool) -> Stored:
    """Make the object; if its key exists, or the store knows no create-only, it is put over what is there."""
    if creates_only:
        try:
            return store.finish_parts(key, upload, parts, creates_only=True)
        except (ExistsError, UnsupportedError):
            pass
    return store.finish_parts(key, upload, parts, creates_only=False)


def _hashed(body: IO[bytes], part_bytes: int, whole: hashlib._Hash) -> Iterator[tuple[int, int, str]]:
    """Yield where each part begins, its size and its SHA-256; all of it goes into `whole`."""
    while True:
        start, part, size_bytes = body.tell(), hashlib.sha256(), 0
        while size_bytes < part_bytes and (piece := body.read(min(_PIECE_BYTES, part_bytes - size_bytes))):
            part.update(piece)
            whole.update(piece)
            size_bytes += len(piece)
        if not size_bytes:
            return
        yield start, size_bytes, part.hexdigest()
