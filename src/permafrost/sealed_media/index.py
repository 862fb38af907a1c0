"""The signed index of a sealed media store: one file, so that it is either the old one or the new one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from permafrost.errors import IntegrityError
from permafrost.openpgp.signing import Verifier
from permafrost.repository.media_list import (
    MAXIMUM_INDEX_BYTES,
    ListPart,
    MediaListIndex,
    SignedMediaList,
    parse_signed_list,
)
from permafrost.small_files import read_small

MOST_SEGMENTS = 2000


class SealedIndex(MediaListIndex):
    """What is signed, and what a vault can read: nothing in it says how many files there are.

    `rows` is how many objects there must be, `snapshot` was the newest when the files were looked at.
    """

    catalog: Annotated[tuple[ListPart, ...], Field(min_length=1, max_length=MOST_SEGMENTS)]
    """The objects whose lines, read one after the other, are the catalog."""


@dataclass(frozen=True, slots=True)
class PublishedIndex:
    """An index as it was read from a file, and the digest of that."""

    index: SealedIndex
    signed: SignedMediaList
    digest: str


def read_index(file: Path, repository_id: str | None) -> PublishedIndex:
    """Return the index in `file`, whose signature is not checked yet.

    Raise `FileNotFoundError` if there is none, `IntegrityError` if it cannot be read, or is another repository's.
    """
    content = read_small(file, MAXIMUM_INDEX_BYTES)
    signed = parse_signed_list(content)
    try:
        index = SealedIndex.model_validate_json(signed.content)
    except ValidationError as error:
        raise IntegrityError(f"{file} is not an index of sealed media") from error
    if repository_id is not None and index.repository != repository_id:
        raise IntegrityError(f"{file} is of another repository, {index.repository}")
    return PublishedIndex(index, signed, digest_of(content))


def check_signature(published: PublishedIndex, verifier: Verifier) -> None:
    """Raise `IntegrityError` unless the trusted key has signed the index."""
    if not verifier.is_valid(published.signed.content.encode(), published.signed.signature.encode()):
        raise IntegrityError(
            "the index of the sealed media was not signed by this server",
            hint="trust nothing in this folder until you know why; restore from another vault",
        )


def digest_of(content: bytes) -> str:
    """Return what stands for the file's bytes."""
    return hashlib.sha256(content).hexdigest()
