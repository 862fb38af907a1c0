"""Whether the files that local rows refer to are in a media folder, by Mastodon's and Paperclip's path rules.

Files of remote accounts are not missed: Mastodon fetches them again. Exports that users asked for are deleted after a
week by Mastodon itself, and not looked for either. Rows that are still being processed have no settled files.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import psycopg
from psycopg import sql

from permafrost.errors import ConfigurationError
from permafrost.events import Progress, Reporter
from permafrost.mastodon.health.queries import columns_of
from permafrost.mastodon.health.report import MOST_IDS, Check

_FETCHED_ROWS = 2000
_FAVICONS = ("16", "32", "48")
_APP_ICONS = tuple(
    "36 48 57 60 72 76 96 114 120 144 152 167 180 192 256 384 512 1024".split()  # noqa: SIM905 - easier to compare
)
_UPLOADS = {"thumbnail": ("@1x", "@2x"), "favicon": _FAVICONS, "app_icon": _APP_ICONS}

Styles = Callable[[str, str], Iterator[tuple[str, str]]]
"""From a file's name and its content type (or the upload's name) to further styles and their files' extensions."""


def _styles_of_media(name: str, content_type: str) -> Iterator[tuple[str, str]]:
    if content_type.startswith("video/") or content_type == "image/gif":
        yield "small", ".png"
    elif content_type in ("image/heic", "image/heif"):
        yield "small", ".jpeg"
    elif content_type == "image/avif":
        return  # its small copy is a .jpeg since 4.7, and an .avif before
    elif content_type.startswith("image/"):
        yield "small", PurePosixPath(name).suffix


def _styles_of_portraits(name: str, content_type: str) -> Iterator[tuple[str, str]]:
    del name
    if content_type == "image/gif":
        yield "static", ".png"


def _styles_of_emojis(name: str, content_type: str) -> Iterator[tuple[str, str]]:
    del name, content_type
    yield "static", ".png"


def _styles_of_uploads(name: str, var: str) -> Iterator[tuple[str, str]]:
    del name
    for style in _UPLOADS.get(var, ()):
        yield style, ".png"


def _no_styles(name: str, content_type: str) -> Iterator[tuple[str, str]]:
    del name, content_type
    yield from ()


@dataclass(frozen=True, slots=True)
class _Attachment:
    """Where a class of files is described: its table, the prefix of its columns, which rows are local ones."""

    table: str
    prefix: str
    plural: str
    is_local: str
    styles: Styles
    kind_column: str
    owner: str = ""  # the account whose suspension closes the file


_ATTACHMENTS = (
    _Attachment(
        *("media_attachments", "file", "files", "coalesce(t.remote_url, '') = ''", _styles_of_media),
        *("file_content_type", "account_id"),
    ),
    _Attachment(
        *("media_attachments", "thumbnail", "thumbnails", "coalesce(t.remote_url, '') = ''", _no_styles),
        *("thumbnail_content_type", "account_id"),
    ),
    _Attachment("accounts", "avatar", "avatars", "t.domain IS NULL", _styles_of_portraits, "avatar_content_type", "id"),
    _Attachment("accounts", "header", "headers", "t.domain IS NULL", _styles_of_portraits, "header_content_type", "id"),
    _Attachment("custom_emojis", "image", "images", "t.domain IS NULL", _styles_of_emojis, "image_content_type"),
    _Attachment("site_uploads", "file", "files", "true", _styles_of_uploads, "var"),
)


@dataclass(slots=True)
class MediaFiles:
    """What was looked for and what was not there; paths are relative to the media folder."""

    expected: int = 0
    missing: int = 0
    open_to_all: int = 0
    first_missing: list[str] = field(default_factory=list)
    first_open: list[str] = field(default_factory=list)


def id_partition(number: int) -> str:
    """Return the folders of a row's number: nine digits or twelve, in threes; what is left over is dropped."""
    digits = str(number).rjust(9 if number < 1_000_000_000 else 12, "0")
    return "/".join(digits[place : place + 3] for place in range(0, len(digits) - len(digits) % 3, 3))


def check_media(
    connection: psycopg.Connection, media: Path, report: Reporter, missing_to: Callable[[str], object] | None = None
) -> Iterator[Check]:
    """Yield the checks of a media folder; within `reading`. `missing_to` is called with every file that is missing.

    Raise `ConfigurationError` if there is no such folder.
    """
    if not media.is_dir():
        raise ConfigurationError(f"the media folder {media} does not exist", hint="give Mastodon's public/system")
    found = MediaFiles()
    for attachment in _ATTACHMENTS:
        for file, is_closed in _expected(connection, attachment):
            _look(media, file, found, missing_to, is_closed=is_closed)
            if found.expected % _FETCHED_ROWS == 0:
                report(Progress(found.expected, None, "files"))
    if found.missing:
        message = (
            f"{found.missing} of {found.expected} files of local accounts are not in {media}, as "
            f"{found.first_missing[0]}: restore them from a vault; never run tootctl media remove-orphans before that"
        )
        yield Check("media-files", "finding", message, tuple(found.first_missing), found.missing)
    else:
        message = f"all {found.expected} files of local accounts exist"
        yield Check("media-files", "passed", message, count=found.expected)
    if found.open_to_all:
        message = (
            f"{found.open_to_all} files of suspended accounts are readable by everyone, as {found.first_open[0]}: "
            "their modes (0600) were lost when they were copied"
        )
        yield Check("media-modes", "finding", message, tuple(found.first_open), found.open_to_all)
    else:
        yield Check("media-modes", "passed", "no file of a suspended account is readable by everyone")


def _expected(connection: psycopg.Connection, one: _Attachment) -> Iterator[tuple[str, bool]]:
    """Yield the path of every file that local rows of a class speak of, and whether it has to be closed to others."""
    there = columns_of(connection, one.table)
    name = f"{one.prefix}_file_name"
    if name not in there or one.kind_column not in there:
        return
    where = f"t.{name} IS NOT NULL AND t.{name} <> '' AND {one.is_local}"
    if "processing" in there:
        where += " AND coalesce(t.processing, 2) NOT IN (0, 1)"
    closed = "false"
    if one.owner and "suspended_at" in columns_of(connection, "accounts"):
        closed = f"EXISTS (SELECT FROM accounts a WHERE a.id = t.{one.owner} AND a.suspended_at IS NOT NULL)"
    # every part is one of ours, above
    query = f"SELECT t.id, t.{name}, coalesce(t.{one.kind_column}, ''), {closed} FROM {one.table} t WHERE {where}"  # noqa: S608
    with connection.cursor(name="media") as cursor:
        cursor.itersize = _FETCHED_ROWS
        for number, file_name, kind, is_closed in cursor.execute(sql.SQL(query)):
            folder = f"{one.table}/{one.plural}/{id_partition(number)}"
            yield f"{folder}/original/{file_name}", is_closed
            stem = file_name.removesuffix(PurePosixPath(file_name).suffix)
            for style, extension in one.styles(file_name, kind):
                yield f"{folder}/{style}/{stem}{extension}", is_closed


def _look(
    media: Path, file: str, found: MediaFiles, missing_to: Callable[[str], object] | None, *, is_closed: bool
) -> None:
    found.expected += 1
    try:
        status = (media / file).lstat() if _stays_inside(file) else None
    except OSError:
        status = None
    if status is None or not stat.S_ISREG(status.st_mode):
        found.missing += 1
        if len(found.first_missing) < MOST_IDS:
            found.first_missing.append(file)
        if missing_to is not None:
            missing_to(file)
    elif is_closed and status.st_mode & 0o044:
        found.open_to_all += 1
        if len(found.first_open) < MOST_IDS:
            found.first_open.append(file)


def _stays_inside(file: str) -> bool:
    """Return whether a name out of the database stays in the media folder."""
    return ".." not in PurePosixPath(file).parts and "\0" not in file
