"""Where Mastodon keeps the files that local rows speak of, by its own and Paperclip's path rules.

    CLASS/ATTACHMENT/ID-PARTITION/STYLE/NAME        media_attachments/files/117/662/831/954/212/746/original/4ab3.mp4

Files of remote accounts are not listed: Mastodon fetches them again. Exports that users asked for are deleted after a
week by Mastodon itself, and not listed either. Rows that are still being processed have no settled files. Which styles
a row has beside the original is said in SQL, as a million rows are listed by the server that has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import psycopg
from psycopg import sql

from permafrost.mastodon.columns import columns_of

FETCHED_ROWS = 2000
_APP_ICONS = (36, 48, 57, 60, 72, 76, 96, 114, 120, 144, 152, 167, 180, 192, 256, 384, 512, 1024)
_UPLOADS = {"thumbnail": ("@1x", "@2x"), "favicon": ("16", "32", "48"), "app_icon": tuple(map(str, _APP_ICONS))}

_LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_USUAL_EXTENSIONS = {
    4: (".png", ".jpg", ".gif", ".mp4", ".mp3", ".ogg"),
    5: (".jpeg", ".webp", ".webm", ".avif", ".heic"),
}
EXTENSION = (
    "CASE "
    + " ".join(
        f"WHEN length({{name}}) > {size} AND right({{name}}, {size}) IN ({', '.join(map(repr, usual))})"
        f" THEN right({{name}}, {size})"
        for size, usual in _USUAL_EXTENSIONS.items()
    )
    + " WHEN strpos(reverse({name}), '.') BETWEEN 2 AND least(17, length({name}) - 1) AND"
    f" translate(right({{name}}, strpos(reverse({{name}}), '.') - 1), '{_LETTERS_AND_DIGITS}', '') = ''"
    " THEN right({name}, strpos(reverse({name}), '.')) ELSE '' END"
)
"""In SQL, a file name's extension with its dot: up to 16 letters and digits. What is no plain extension belongs to the
name. The usual ones are named, as that takes an eighth of the time; a regular expression would take twice as long."""
_MEDIA_STYLES = (
    "CASE WHEN {kind} LIKE 'video/%' OR {kind} = 'image/gif' THEN 'small.png'"
    " WHEN {kind} IN ('image/heic', 'image/heif') THEN 'small.jpeg'"
    " WHEN {kind} = 'image/avif' THEN ''"  # its small copy is a .jpeg since 4.7, and an .avif before
    " WHEN {kind} LIKE 'image/%' THEN 'small' || {extension} ELSE '' END"
)
_PORTRAIT_STYLES = "CASE WHEN {kind} = 'image/gif' THEN 'static.png' ELSE '' END"
_UPLOAD_STYLES = (
    "CASE {kind} "
    + " ".join(
        f"WHEN '{var}' THEN '{','.join(f'{style}.png' for style in styles)}'" for var, styles in _UPLOADS.items()
    )
    + " ELSE '' END"
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A class of files: its table, the prefix of its columns, which rows are local ones, and further styles in SQL."""

    table: str
    prefix: str
    plural: str
    is_local: str
    styles: str
    kind_column: str
    owner: str = ""  # the account whose suspension closes the file

    @property
    def folder(self) -> str:
        """The folder of all its files."""
        return f"{self.table}/{self.plural}"

    @property
    def name_column(self) -> str:
        """The column with the original's name."""
        return f"{self.prefix}_file_name"

    def condition(self, columns: frozenset[str]) -> str | None:
        """Return, in SQL, which rows `t` of the table have files; None if the table, by its columns, has none."""
        if self.name_column not in columns or self.kind_column not in columns:
            return None
        where = f"t.{self.name_column} <> '' AND {self.is_local}"
        return where + (" AND coalesce(t.processing, 2) NOT IN (0, 1)" if "processing" in columns else "")

    @property
    def extension(self) -> str:
        """The extension of the original of row `t`, in SQL."""
        return f"({EXTENSION.format(name=f't.{self.name_column}')})"

    def styles_of_rows(self, extension: str) -> str:
        """Return, in SQL, the styles beside the original of row `t`: `STYLE.EXTENSION`, with commas between."""
        return self.styles.format(kind=f"coalesce(t.{self.kind_column}, '')", extension=extension)


_MEDIA, _PORTRAIT = "coalesce(t.remote_url, '') = ''", "t.domain IS NULL"
ATTACHMENTS = (
    Attachment("media_attachments", "file", "files", _MEDIA, _MEDIA_STYLES, "file_content_type", "account_id"),
    Attachment("media_attachments", "thumbnail", "thumbnails", _MEDIA, "''", "thumbnail_content_type", "account_id"),
    Attachment("accounts", "avatar", "avatars", _PORTRAIT, _PORTRAIT_STYLES, "avatar_content_type", "id"),
    Attachment("accounts", "header", "headers", _PORTRAIT, _PORTRAIT_STYLES, "header_content_type", "id"),
    Attachment("custom_emojis", "image", "images", _PORTRAIT, "'static.png'", "image_content_type"),
    Attachment("site_uploads", "file", "files", "true", _UPLOAD_STYLES, "var"),
)


def id_partition(number: int) -> str:
    """Return the folders of a row's number: nine digits or twelve, in threes; what is left over is dropped."""
    digits = str(number).rjust(9 if number < 1_000_000_000 else 12, "0")
    return "/".join(digits[place : place + 3] for place in range(0, len(digits) - len(digits) % 3, 3))


def expected_files(connection: psycopg.Connection, attachment: Attachment) -> Iterator[tuple[str, bool]]:
    """Yield the path of every file that local rows of a class speak of, and whether it has to be closed to others.

    Within a transaction whose `search_path` finds Mastodon's tables.
    """
    where = attachment.condition(columns_of(connection, attachment.table))
    if where is None:
        return
    closed = "false"
    if attachment.owner and "suspended_at" in columns_of(connection, "accounts"):
        closed = f"EXISTS (SELECT FROM accounts a WHERE a.id = t.{attachment.owner} AND a.suspended_at IS NOT NULL)"
    # every part is one of ours, above
    query = (
        f"SELECT t.id, t.{attachment.name_column}, {attachment.styles_of_rows(attachment.extension)}, {closed}"  # noqa: S608
        f" FROM {attachment.table} t WHERE {where}"
    )
    with connection.cursor(name="media") as cursor:
        cursor.itersize = FETCHED_ROWS
        for number, file_name, styles, is_closed in cursor.execute(sql.SQL(query)):
            folder = f"{attachment.folder}/{id_partition(number)}"
            yield f"{folder}/original/{file_name}", is_closed
            stem = file_name.removesuffix(PurePosixPath(file_name).suffix)
            for named in filter(None, styles.split(",")):
                style, dot, extension = named.partition(".")
                yield f"{folder}/{style}/{stem}{dot}{extension}", is_closed


def unsettled_files(connection: psycopg.Connection) -> Iterator[str]:
    """Yield the paths of originals that lie among the local ones, and that no list names.

    Those of rows that are still being processed, and of remote accounts from before Mastodon had `cache/`: its own rule
    is that `storage_schema_version` is 1 or more for what lies there. Within a transaction, as `expected_files`.
    """
    for attachment in ATTACHMENTS:
        columns = columns_of(connection, attachment.table)
        where = attachment.condition(columns)
        if where is None:
            continue
        version = f"{attachment.prefix}_storage_schema_version"
        outside = f"(({attachment.is_local}) OR coalesce(t.{version}, 0) < 1)" if version in columns else "true"
        query = (
            f"SELECT t.id, t.{attachment.name_column} FROM {attachment.table} t"  # noqa: S608 - every part is ours
            f" WHERE t.{attachment.name_column} <> '' AND NOT coalesce({where}, false) AND {outside}"
        )
        with connection.cursor(name="unsettled") as cursor:
            cursor.itersize = FETCHED_ROWS
            for number, file_name in cursor.execute(sql.SQL(query)):
                yield f"{attachment.folder}/{id_partition(number)}/original/{file_name}"
