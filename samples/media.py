"""The media files that the rows of a sample database expect, where Mastodon's own storage would put them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from random import Random

from samples.rows import Connection

_STATIC_PNG = (("static", ".png"),)
_UPLOAD_STYLES = {
    "thumbnail": (("@1x", ".png"), ("@2x", ".png")),
    "favicon": (("16", ".png"), ("32", ".png"), ("48", ".png")),
}

# Each gives: id, file name, content type, size, time, whether it lies in cache/, whether it is hidden, detail.
_QUERIES = {
    "media_attachments/files": """
        SELECT m.id, file_file_name, file_content_type, file_file_size, file_updated_at,
            remote_url <> '' AND coalesce(file_storage_schema_version, 0) >= 1, a.suspended_at IS NOT NULL, ''
        FROM media_attachments AS m LEFT JOIN accounts AS a ON a.id = account_id
        WHERE file_file_name <> ''""",
    "media_attachments/thumbnails": """
        SELECT m.id, thumbnail_file_name, thumbnail_content_type, thumbnail_file_size, thumbnail_updated_at,
            remote_url <> '' AND coalesce(thumbnail_storage_schema_version, 0) >= 1, a.suspended_at IS NOT NULL, ''
        FROM media_attachments AS m LEFT JOIN accounts AS a ON a.id = account_id
        WHERE thumbnail_file_name <> ''""",
    "accounts/avatars": """
        SELECT id, avatar_file_name, avatar_content_type, avatar_file_size, avatar_updated_at,
            domain IS NOT NULL AND coalesce(avatar_storage_schema_version, 0) >= 1, suspended_at IS NOT NULL, ''
        FROM accounts WHERE avatar_file_name <> ''""",
    "accounts/headers": """
        SELECT id, header_file_name, header_content_type, header_file_size, header_updated_at,
            domain IS NOT NULL AND coalesce(header_storage_schema_version, 0) >= 1, suspended_at IS NOT NULL, ''
        FROM accounts WHERE header_file_name <> ''""",
    "custom_emojis/images": """
        SELECT id, image_file_name, image_content_type, image_file_size, image_updated_at,
            domain IS NOT NULL AND coalesce(image_storage_schema_version, 0) >= 1, false, ''
        FROM custom_emojis WHERE image_file_name <> ''""",
    "preview_cards/images": """
        SELECT id, image_file_name, image_content_type, image_file_size, image_updated_at,
            coalesce(image_storage_schema_version, 0) >= 1, false, ''
        FROM preview_cards WHERE image_file_name <> ''""",
    "site_uploads/files": """
        SELECT id, file_file_name, file_content_type, file_file_size, file_updated_at, false, false, var
        FROM site_uploads WHERE file_file_name <> ''""",
}


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file that a row expects, its path relative to the media folder."""

    path: PurePosixPath
    size_bytes: int
    mode: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """How much was written."""

    files: int
    size_bytes: int


def expected_files(connection: Connection) -> Iterator[ExpectedFile]:
    """Yield every file that the rows expect, those of remote accounts too, in the order of tables and ids."""
    for place, query in _QUERIES.items():
        for row in connection.execute(f"{query} ORDER BY 1".encode()).fetchall():
            row_id, name, content_type, size_bytes, modified, is_cached, is_hidden, detail = row
            folder = PurePosixPath("cache" if is_cached else "") / place / id_partition(row_id)
            mode = 0o600 if is_hidden else 0o644  # Mastodon closes the files of suspended accounts
            yield ExpectedFile(folder / "original" / name, size_bytes, mode, modified)
            for style, extension in _styles(place, content_type, detail):
                file = folder / style / (PurePosixPath(name).stem + (extension or PurePosixPath(name).suffix))
                yield ExpectedFile(file, size_bytes // 3 + 1, mode, modified)


def id_partition(row_id: int) -> str:
    """Return the folders of an id: groups of three of its nine or twelve or more digits, without a rest at the end."""
    digits = str(row_id).zfill(9 if row_id < 1_000_000_000 else 12)
    return "/".join(digits[start : start + 3] for start in range(0, len(digits) - 2, 3))


def _styles(place: str, content_type: str, detail: str) -> tuple[tuple[str, str], ...]:
    """Return the styles beside the original with their extension, "" for the original's."""
    kind = content_type.partition("/")[0]
    if place == "media_attachments/files" and kind in ("image", "video"):
        return (("small", ".png" if kind == "video" or content_type == "image/gif" else ""),)
    if place.startswith("accounts/") and content_type == "image/gif":
        return _STATIC_PNG
    if place == "custom_emojis/images":
        return _STATIC_PNG
    return _UPLOAD_STYLES.get(detail, ())


def write_media(connection: Connection, folder: Path, *, with_cache: bool = True) -> Written:
    """Write every expected file below `folder` with its mode and time; without `with_cache` none below `cache/`.

    The contents are random, and the same for the same path and size.
    """
    files = size_bytes = 0
    for one in expected_files(connection):
        if not with_cache and one.path.parts[0] == "cache":
            continue
        target = folder / one.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Random(str(one.path)).randbytes(one.size_bytes))
        target.chmod(one.mode)
        seconds = one.modified.timestamp()
        os.utime(target, (seconds, seconds))
        files += 1
        size_bytes += one.size_bytes
    return Written(files, size_bytes)
