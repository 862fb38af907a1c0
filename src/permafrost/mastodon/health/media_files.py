"""Whether the files that local rows refer to are in a media folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import psycopg

from permafrost.errors import ConfigurationError
from permafrost.events import Progress, Reporter
from permafrost.mastodon.health.report import MOST_IDS, Check
from permafrost.mastodon.media_paths import ATTACHMENTS, FETCHED_ROWS, expected_files


@dataclass(slots=True)
class MediaFiles:
    """What was looked for and what was not there; paths are relative to the media folder."""

    expected: int = 0
    missing: int = 0
    open_to_all: int = 0
    first_missing: list[str] = field(default_factory=list)
    first_open: list[str] = field(default_factory=list)


def check_media(
    connection: psycopg.Connection, media: Path, report: Reporter, missing_to: Callable[[str], object] | None = None
) -> Iterator[Check]:
    """Yield the checks of a media folder; within `reading`. `missing_to` is called with every file that is missing.

    Raise `ConfigurationError` if there is no such folder.
    """
    if not media.is_dir():
        raise ConfigurationError(f"the media folder {media} does not exist", hint="give Mastodon's public/system")
    found = MediaFiles()
    for attachment in ATTACHMENTS:
        for file, is_closed in expected_files(connection, attachment):
            _look(media, file, found, missing_to, is_closed=is_closed)
            if found.expected % FETCHED_ROWS == 0:
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


def _look(
    media: Path, file: str, found: MediaFiles, missing_to: Callable[[str], object] | None, *, is_closed: bool
) -> None:
    found.expected += 1
    status = file_status(media, file)
    if status is None:
        found.missing += 1
        if len(found.first_missing) < MOST_IDS:
            found.first_missing.append(file)
        if missing_to is not None:
            missing_to(file)
    elif is_closed and status.st_mode & 0o044:
        found.open_to_all += 1
        if len(found.first_open) < MOST_IDS:
            found.first_open.append(file)


def file_status(media: Path, file: str) -> os.stat_result | None:
    """Return the status of a regular file in the media folder, None if there is none.

    A name out of the database leads nowhere else, and no link is followed.
    """
    if ".." in PurePosixPath(file).parts or "\0" in file:
        return None
    try:
        status = (media / file).lstat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None
