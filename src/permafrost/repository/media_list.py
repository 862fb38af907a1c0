"""The media list: which media files the newest snapshot's database speaks of (docs/format.md, section 9).

    media-list/index.json        signed: of which snapshot, and which parts, in order
    media-list/NAME.zst          a part, named by its SHA-256: the first lists all rows, each further one what changed

    media-keys/                  beside the repository: the same shape, with the names, for vaults that fetch the files

A vault compares what it has with it, and needs no key. The folder of a row can be read; the name of its file, which is
what an address on the web is made of, stands there as a hash that only somebody with the file can recognize.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from permafrost.config.values import PublicUrl
from permafrost.errors import IntegrityError
from permafrost.repository.layout import SnapshotId

MEDIA_LIST = "media-list"
KEY_LIST = "media-keys"
"""The folder, outside the repository, of a list that names the files of an object store in plaintext."""
INDEX_FILE = "index.json"
KEY_LIST_IGNORES = ("/.*.new",)
MAXIMUM_INDEX_BYTES = 1 << 20
MOST_PARTS = 2000
MASK_LETTERS = 24
_NAME = re.compile(rb"(.+)(\.[A-Za-z0-9]{1,16})", re.DOTALL)
_LINE = re.compile(
    rb"((?:[a-z_]+/){2}[0-9]{3}(?:/[0-9]{3}){2,6})(?:\t([0-9]{1,18}|\\N)\t([0-9a-f]{24})\t([A-Za-z0-9@.,]{1,600}))?"
)
_KEY_LINE = re.compile(
    rb"((?:[a-z_]+/){2}[0-9]{3}(?:/[0-9]{3}){2,6})(?:\t([0-9]{1,18}|\\N)\t((?:[0-9a-f]{2}){1,300})\t([A-Za-z0-9@.,]{1,600}))?"
)
MOST_NAME_BYTES = 240
"""Of a file's name: more than that, with an extension, is too long for a vault's disk."""
_Count = Annotated[int, Field(ge=0, lt=1 << 63)]


class ListPart(BaseModel):
    """A part: the SHA-256 of its bytes, and their count."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: _Count

    @property
    def file_name(self) -> str:
        """Its file."""
        return f"{self.name}.zst"


class MediaListIndex(BaseModel):
    """What is signed. Keys may be added in later versions; unknown ones are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    repository: str
    snapshot: str
    made_at: AwareDatetime
    rows: _Count
    """How many rows have files, once all parts are read."""
    parts: Annotated[tuple[ListPart, ...], Field(min_length=1, max_length=MOST_PARTS)]


class KeyListIndex(MediaListIndex):
    """What is signed of a key list: the same, and where the files are served. Its parts name the files in plaintext."""

    kind: Literal["media-keys"] = "media-keys"
    public_url: PublicUrl


Index = TypeVar("Index", bound=MediaListIndex)


class SignedMediaList(BaseModel):
    """The file: the index as text, and the detached signature of exactly that by the repository's signing key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: str
    signature: str

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    def index(self, repository_id: str) -> MediaListIndex:
        """Return what the text says; the signature has to be checked before. Raise `IntegrityError` if it is none."""
        return self._index(MediaListIndex, repository_id)

    def keys(self, repository_id: str) -> KeyListIndex:
        """Return what the text of a key list says, likewise."""
        return self._index(KeyListIndex, repository_id)

    def _index(self, model: type[Index], repository_id: str) -> Index:
        try:
            index = model.model_validate_json(self.content)
        except ValidationError as error:
            raise IntegrityError("the media list cannot be read") from error
        SnapshotId(index.snapshot)
        if index.repository != repository_id:
            raise IntegrityError("the media list is another repository's")
        return index


def parse_signed_list(content: bytes) -> SignedMediaList:
    """Return the parts of the index's file; raise `IntegrityError` if it is none."""
    try:
        return SignedMediaList.model_validate_json(content)
    except ValidationError as error:
        raise IntegrityError("the media list's index cannot be read") from error


@dataclass(frozen=True, slots=True)
class NeededFile:
    """A file that a row speaks of: its masked path, and the size that the database knows, None where it knows none."""

    path: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of the list: its folder, and its files; none if it is gone, or has none any more."""

    folder: str
    files: tuple[NeededFile, ...]


def parse_row(line: bytes) -> ListedRow:
    """Return what a line says; raise `IntegrityError` if it does not have the form of one."""
    folder, size, mask, styles = _parts_of(_LINE, line)
    return _row(folder, size, mask, styles)


def parse_key_row(line: bytes) -> ListedRow:
    """Return what a line of a key list says, with its files' own names; none of names that no file of ours can have.

    Raise `IntegrityError` if it does not have the form of one.
    """
    folder, size, name, styles = _parts_of(_KEY_LINE, line)
    try:
        stem = bytes.fromhex(name).decode("utf-8")
    except UnicodeDecodeError:
        return ListedRow(folder, ())
    is_path = stem.strip(".") and "/" not in stem and not stem.startswith((".syncthing.", "~syncthing~"))
    is_name = is_path and stem.isprintable() and len(name) <= 2 * MOST_NAME_BYTES
    has_styles = not any(style.startswith(".") for style in styles.split(","))
    return _row(folder, size, stem, styles if is_name and has_styles else "")


def _parts_of(form: re.Pattern[bytes], line: bytes) -> tuple[str, ...]:
    match = form.fullmatch(line)
    if match is None:
        raise IntegrityError(f"the media list has a line that is none: {line[:100]!r}")
    return tuple(group.decode("ascii") if group is not None else "" for group in match.groups())


def _row(folder: str, size: str, mask: str, styles: str) -> ListedRow:
    files = []
    for style in styles.split(",") if styles else ():
        name, dot, extension = style.partition(".")
        size_bytes = int(size) if name == "original" and size != "\\N" else None
        files.append(NeededFile(f"{folder}/{name}/{mask}{dot}{extension}", size_bytes))
    return ListedRow(folder, tuple(files))


def gone_row(folder: str) -> bytes:
    """Return the line of a row that has no files any more."""
    return f"{folder}\n".encode("ascii")


def masked_path(repository_id: str, path: bytes) -> str | None:
    """Return the masked path of a media file, None if the path is not one that Mastodon gives to a row's file."""
    folder, _, last = path.rpartition(b"/")
    row_folder, _, style = folder.rpartition(b"/")
    match = _NAME.fullmatch(last)
    stem, extension = match.groups() if match else (last, b"")
    salted = repository_id.encode("ascii") + b"/" + row_folder + b"/" + stem
    mask = hashlib.sha256(salted).hexdigest()[:MASK_LETTERS]
    if not row_folder or _LINE.fullmatch(row_folder) is None:
        return None
    try:
        return f"{row_folder.decode('ascii')}/{style.decode('ascii')}/{mask}{extension.decode('ascii')}"
    except UnicodeDecodeError:
        return None


def lines_of(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines in the bytes, without their newlines; raise `IntegrityError` if the last one has none."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MAXIMUM_INDEX_BYTES:
            raise IntegrityError("the media list has a line without an end")
    if rest:
        raise IntegrityError("the media list ends within a line")
