"""Restores the media of a snapshot, and compares them with the restored rows.

The rows say which files there must be, and which have to be closed: Mastodon marks the files of suspended accounts by
their permissions alone, which a copy may have lost. So a file of a suspended account is 0600, and every other one can
be read by the web server.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psycopg

from permafrost.events import Progress, Reporter
from permafrost.loading.media.laying_out import CLOSED, NAMED_AT_MOST, TELL_EVERY, MediaRequest, RestoredMedia, lay_out
from permafrost.loading.media.sealed import SealedOpening, lay_out_sealed
from permafrost.loading.media.source import MediaSource
from permafrost.mastodon.health.queries import reading
from permafrost.mastodon.media_paths import ATTACHMENTS, expected_files
from permafrost.postgres.connection import connected
from permafrost.repository.durable import space_errors
from permafrost.small_files import NotAFileError, open_regular, opened_folder
from permafrost.vault.media.moment import leads_outside

_READABLE = 0o044


def restore_media(
    request: MediaRequest, source: MediaSource, opening: SealedOpening, snapshot: str, conninfo: str, report: Reporter
) -> RestoredMedia:
    """Lay the snapshot's media out, compare them with the rows of the restored database, and return how that went.

    `opening` is for media that were sealed.
    """
    restored = RestoredMedia(request)
    sealed = source.sealed(snapshot)
    if sealed is not None:
        lay_out_sealed(sealed, opening, request.to, restored, report)
    else:
        lay_out(source, snapshot, request.to, restored, report)
    with connected(conninfo) as connection:
        _compare(connection, request.to, request.missing_list, restored, report)
    return restored


def _compare(
    connection: psycopg.Connection, target: Path, missing_list: Path, restored: RestoredMedia, report: Reporter
) -> None:
    """Look for every file that the rows expect, set its permissions, and list in a file what was never there."""
    missing_list.unlink(missing_ok=True)
    with space_errors(target), reading(connection):
        for attachment in ATTACHMENTS:
            for file, is_closed in expected_files(connection, attachment):
                restored.expected += 1
                if not _set_mode(target, file, is_closed=is_closed):
                    _note_missing(missing_list, file, restored)
                elif is_closed:
                    restored.closed += 1
                if restored.expected % TELL_EVERY == 0:
                    report(Progress(restored.expected, None, "files"))


def _set_mode(target: Path, file: str, *, is_closed: bool) -> bool:
    """Close or open a file; return whether it is there, as a regular file in its place."""
    if leads_outside(os.fsencode(file)):
        return False
    *folders, name = file.split("/")
    try:
        with opened_folder(target, *folders) as folder:
            descriptor = open_regular(name, folder=folder)
    except (FileNotFoundError, NotAFileError):
        return False
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        wanted = CLOSED if is_closed else mode | CLOSED | _READABLE
        if mode != wanted:
            os.fchmod(descriptor, wanted)
    finally:
        os.close(descriptor)
    return True


def _note_missing(missing_list: Path, file: str, restored: RestoredMedia) -> None:
    restored.missing += 1
    if len(restored.first_missing) < NAMED_AT_MOST:
        restored.first_missing.append(file)
    first = os.O_EXCL if restored.missing == 1 else 0
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(missing_list, flags | first, CLOSED)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as writing:
        writing.write(f"{file}\n")
