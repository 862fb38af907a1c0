"""What lies outside of the database and is part of a backup all the same: media and secrets. Is it there?

And what lies in it and is no part: what the configuration leaves out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.findings import Finding, FindingKind

_DEPTH = 3
_MOST_LOOKED_AT = 5000
"""Links that an admin has put there are near the top: media_attachments, accounts/avatars. Below are the files."""

MOST_SECRET_BYTES = 64 << 20
"""How much the secrets files may have in all: they are packed in memory, and read into it by a restore."""

SECRET_OVERHEAD_BYTES = 32 << 10
"""What a file's name and owner take in the archive at most, and the archive's end."""

TOO_LARGE = f"the secrets files have more than {MOST_SECRET_BYTES >> 20} MiB in all"


def outside_findings(configuration: Configuration) -> Iterator[Finding]:
    """Yield what is missing of media and secrets, what is left out of the database, and links among the media.

    Reads only names, modes and sizes.
    """
    database = configuration.database
    excluded = [*(f"schema {name}" for name in database.exclude_schemas), *database.exclude_tables]
    if excluded:
        message = f"not in the snapshots, as configured: {', '.join(excluded)}"
        yield Finding(FindingKind.EXCLUDED, "database", message)
    for file, reason in secrets_left_out(configuration.secrets.files):
        yield secrets_missing(file, reason)
    media = configuration.media.path if configuration.media is not None else None
    if media is None:
        return
    try:
        links = list(_links_below(media))
    except OSError as error:
        yield Finding(FindingKind.MEDIA_MISSING, str(media), f"the media folder {media}: {error.strerror}")
        return
    if links:
        named = ", ".join(str(link.relative_to(media)) for link in links[:3])
        more = f" and {len(links) - 3} more" if len(links) > 3 else ""
        message = f"the media folder {media} has symbolic links ({named}{more}); what is behind them is in no copy"
        yield Finding(FindingKind.MEDIA_LINKS, str(media), message)


def secrets_missing(file: Path, reason: str) -> Finding:
    """Return the finding of a secrets file that is in no snapshot."""
    message = f"the secrets file {file} is not in the snapshots: {reason}"
    return Finding(FindingKind.SECRETS_MISSING, str(file), message)


def secrets_left_out(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the files that a backup will do without, as far as names, modes and sizes tell, each with the reason."""
    left_bytes = MOST_SECRET_BYTES
    for file in files:
        try:
            status = file.stat()
        except OSError as error:
            yield file, error.strerror or "cannot be read"
            continue
        needed_bytes = status.st_size + SECRET_OVERHEAD_BYTES
        if not os.access(file, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            yield file, "permission denied"
        elif not stat.S_ISREG(status.st_mode):
            yield file, "not a regular file"
        elif needed_bytes > left_bytes:
            yield file, TOO_LARGE
        else:
            left_bytes -= needed_bytes


def _links_below(media: Path) -> Iterator[Path]:
    """Yield the symbolic links in the upper levels of the folder; raise `OSError` if the folder cannot be read."""
    looked_at = 0
    levels: list[tuple[Path, int]] = [(media, 1)]
    while levels and looked_at < _MOST_LOOKED_AT:
        folder, depth = levels.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    looked_at += 1
                    if entry.is_symlink():
                        yield Path(entry.path)
                    elif depth < _DEPTH and entry.is_dir(follow_symlinks=False):
                        levels.append((Path(entry.path), depth + 1))
                    if looked_at >= _MOST_LOOKED_AT:
                        return
        except OSError:
            if folder == media:
                raise
