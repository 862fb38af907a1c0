"""permafrost media compare: what the media folder, or the object store, holds against what the database needs.

Only names, sizes and times are read. It holds no lock, so that it never delays a backup.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from permafrost.config.models import Configuration, Media
from permafrost.documents.media import MediaCompareDocument
from permafrost.errors import ConfigurationError, UsageError
from permafrost.events import Progress, Reporter, Steps
from permafrost.mastodon.environment import environment_among
from permafrost.mastodon.health.media_files import file_status
from permafrost.mastodon.health.queries import reading
from permafrost.mastodon.media_census import PLACES, Census, Comparison, HeldFile, still_expected
from permafrost.mastodon.settings import ObjectStorage
from permafrost.postgres.connection import connected
from permafrost.runs import MEDIA_COMPARED, RunRecords

NAMED_AT_MOST = 10
_TELL_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class MediaComparison:
    """What a comparison found, and what it took. `requests` is 0 for a folder."""

    found: Comparison
    is_store: bool
    requests: int
    duration_s: float

    def document(self) -> MediaCompareDocument:
        """Return it for JSON."""
        found = self.found
        return MediaCompareDocument(
            is_store=self.is_store,
            files=found.held.files,
            bytes=found.held.size_bytes,
            needed=found.needed,
            missing=found.missing,
            first_missing=found.candidates[:NAMED_AT_MOST],
            orphans=found.orphans.files,
            orphan_bytes=found.orphans.size_bytes,
            strays=found.strays.files,
            stray_bytes=found.strays.size_bytes,
            requests=self.requests,
            duration_s=self.duration_s,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where media are: how to list them, how to look for one, and how many requests that took so far."""

    files: Callable[[], Iterator[HeldFile]]
    is_held: Callable[[str], bool]
    requests: Callable[[], int]


def compare_media(configuration: Configuration, *, report: Reporter, now: datetime) -> MediaComparison:
    """Compare the server's own media with its database, record what that found, and return it.

    Raise `UsageError` without media, `ConfigurationError` if the place of the media or the key is not known,
    `BucketError` if the store fails, `DatabaseError` if the database cannot be read.
    """
    media = configuration.media
    if media is None:
        raise UsageError("no media are configured", unchanged="everything", hint="set path or public_url in [media]")
    with RunRecords(configuration.state.path).recorded(MEDIA_COMPARED, now) as record:
        result = _compared(configuration, media, report, now)
        record.update(asdict(result.document()))
    return result


def _compared(configuration: Configuration, media: Media, report: Reporter, now: datetime) -> MediaComparison:
    started, steps = time.monotonic(), Steps(report, 3)
    place = _folder(media.path) if media.path is not None else _store(configuration, media)
    census = Census(now.timestamp())
    with steps.step("list what there is"):
        for number, file in enumerate(place.files()):
            census.add(file)
            if number % _TELL_EVERY == 0:
                report(Progress(number, None, "files"))
    with connected(configuration.database.url) as connection:
        with steps.step("compare it with the rows"), reading(connection):
            found = census.compare(connection)
        with steps.step("look again for what seems to be missing"):
            missing = [path for path in found.candidates if not place.is_held(path)]
            if missing:
                with reading(connection):
                    missing = sorted(still_expected(connection, missing))
    duration_s = round(time.monotonic() - started, 3)
    return MediaComparison(found.settled(missing), media.path is None, place.requests(), duration_s)


def _store(configuration: Configuration, media: Media) -> _Place:
    from permafrost.buckets.extra import require_boto3  # noqa: PLC0415 - boto3 is an extra, below

    require_boto3()
    from permafrost.buckets.media_listing import MediaListing, media_bucket  # noqa: PLC0415 - boto3 is an extra

    environment = environment_among(configuration.secrets.files)
    storage = environment.storage if environment is not None else None
    listing = MediaListing(media_bucket(media, storage if isinstance(storage, ObjectStorage) else None))
    return _Place(listing.files, listing.is_held, lambda: listing.requests)


def _folder(media: Path) -> _Place:
    if not media.is_dir():
        raise ConfigurationError(
            f"the media folder {media} does not exist",
            unchanged="everything",
            hint="correct [media] path, or mount its disk",
        )
    return _Place(lambda: _files_below(media), lambda path: file_status(media, path) is not None, lambda: 0)


def _files_below(media: Path) -> Iterator[HeldFile]:
    """Yield the files in the folders of local media; no link is followed, and what goes meanwhile is left out.

    Raise `ConfigurationError` if a folder cannot be read: what is in it would seem to be missing.
    """
    root = os.fspath(media)
    for top in sorted({place.partition("/")[0] for place in PLACES}):
        for folder, _, files in os.walk(f"{root}/{top}", onerror=_raise):
            for name in files:
                path = f"{folder}/{name}"
                try:
                    status = os.lstat(path)
                except OSError as error:
                    _raise(error)
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield HeldFile(path[len(root) + 1 :], status.st_size, status.st_mtime)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise ConfigurationError(
            f"cannot read {error.filename}: {error.strerror}",
            unchanged="everything; a comparison only reads",
            hint="run this as a user who may read the media",
        ) from error
