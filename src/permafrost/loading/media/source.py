"""Where the media of a snapshot are taken from: a vault's history beside the repository, or any copy of the folder.

    NAME/history/            the repository that is restored, with media/ and media-replaced/ in it
    NAME/keeping.sqlite      when which version of a file was there

Without the vault's records, or in a copy, there is one version of each file, whose moment nobody knows. Media that came
sealed are objects, and an index of which each version is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import RepositoryError, RestoreRefusedError
from permafrost.sealed_media.layout import INDEX_FILE
from permafrost.vault.media.moment import media_of
from permafrost.vault.media.walk import files_below

RECORDS = "keeping.sqlite"
_KEPT = "media"
REMOTE = b"cache/"
"""What Mastodon keeps of other servers, and fetches again."""
Odd = Callable[[bytes, str], None]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file: its path in Mastodon's media folder, where it lies below the source's root, and its permissions then.

    `mode` is None where nobody knows it, and the file has those that it has now.
    """

    path: bytes
    place: bytes
    mode: int | None


@dataclass(frozen=True, slots=True)
class SealedMedia:
    """A sealed media store, and its index of a moment, which may lie elsewhere."""

    store: Path
    index: Path


@dataclass(frozen=True, slots=True)
class MediaSource:
    """A folder with media: `records` are those of the vault whose history it is, None for a copy."""

    root: Path
    records: Path | None

    def sealed(self, snapshot: str) -> SealedMedia | None:
        """Return the store that the media lie in, with the index of the snapshot's moment; None if they are files.

        Raise `RepositoryError` as `files` does.
        """
        if self.records is None:
            index = self.root / INDEX_FILE
            return SealedMedia(self.root, index) if index.is_file() else None
        if not (self.root / _KEPT / INDEX_FILE).is_file():
            return None  # where it was there once, its newest version still is
        name = INDEX_FILE.encode("ascii")
        places = (kept.place for kept in media_of(self.records, snapshot) if kept.path == name)
        place = next(places, None)
        return SealedMedia(self.root / _KEPT, self.root / os.fsdecode(place)) if place is not None else None

    def files(self, snapshot: str, odd: Odd) -> Iterator[MediaFile]:
        """Yield the files of the snapshot's moment, or the only ones; `odd` takes what is no regular file, and why.

        Raise `RepositoryError` if the records cannot be read, or do not know the snapshot.
        """
        if self.records is not None:
            for kept in media_of(self.records, snapshot):
                if not kept.path.startswith(REMOTE):
                    yield MediaFile(kept.path, kept.place, kept.mode)
            return
        for _, path, _ in files_below(os.fsencode(self.root), odd):
            if not path.startswith(REMOTE):
                yield MediaFile(path, path, None)


def media_source(given: Path | None, repository: Path, snapshot: str) -> MediaSource:
    """Return the folder that was named, otherwise the history that the repository is.

    Raise `RestoreRefusedError` if there is none, or its records cannot say what there was.
    """
    if given is not None:
        if (given / _KEPT).is_dir() and (given.parent / RECORDS).is_file():
            return _of_history(given, snapshot)
        if not given.is_dir():
            raise RestoreRefusedError(f"there is no media folder {given}", hint="give --media-from DIR")
        return MediaSource(given, None)
    if (repository / _KEPT).is_dir():
        if (repository.parent / RECORDS).is_file():
            return _of_history(repository, snapshot)
        return MediaSource(repository / _KEPT, None)
    raise RestoreRefusedError(
        f"{repository} has no media beside its snapshots",
        hint="restore from a vault's history, or give a copy of the media folder with --media-from DIR",
    )


def _of_history(history: Path, snapshot: str) -> MediaSource:
    source = MediaSource(history, history.parent / RECORDS)
    try:
        for _ in source.files(snapshot, lambda _path, _reason: None):
            break
    except RepositoryError as error:
        raise RestoreRefusedError(
            error.message,
            hint=f"run this as the vault's user, or give --media-from {history / _KEPT} for the newest versions",
        ) from error
    return source
