"""Publishes a snapshot's media list: its new part, then the signed index, then what the next run has to know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from permafrost.config.models import Configuration
from permafrost.engines.context import RunContext
from permafrost.errors import PermafrostError
from permafrost.events import Warned
from permafrost.openpgp.signing import sign_detached
from permafrost.repository.durable import fsync_folder, make_folder_durably, write_durably
from permafrost.repository.layout import OBJECT_MODE, SnapshotId
from permafrost.repository.media_list import (
    INDEX_FILE,
    KEY_LIST,
    MAXIMUM_INDEX_BYTES,
    MEDIA_LIST,
    KeyListIndex,
    ListPart,
    MediaListIndex,
    SignedMediaList,
    parse_signed_list,
)
from permafrost.sealed_media.store import remove_media_list, seals_media
from permafrost.small_files import read_small

if TYPE_CHECKING:
    from permafrost.engines.media_list_state import ListHead
    from permafrost.mastodon.media_rows import Ids


@dataclass(frozen=True, slots=True)
class PreparedMediaList:
    """A list that is read, and not published yet: the parts of the last one, and the new one as a file near `folder`.

    `ids` are those of the rows that have files, by folder. `keys` is the same for the key list, None without one.
    """

    folder: Path
    before: tuple[ListPart, ...]
    part: ListPart
    file: Path
    head: ListHead
    ids: Mapping[str, Ids]
    keys: PreparedKeys | None = None


@dataclass(frozen=True, slots=True)
class PreparedKeys:
    """A key list that is read, and not published yet: likewise."""

    before: tuple[ListPart, ...]
    part: ListPart
    file: Path
    public_url: str


@dataclass(frozen=True, slots=True)
class CurrentList:
    """The list that a snapshot has: as it is published already (`prepared` is None), or to be published."""

    listed_at: str
    prepared: PreparedMediaList | None


def publish_media_list(run: RunContext, current: CurrentList | None, snapshot: SnapshotId) -> int:
    """Make the media list that of the snapshot, in its place alone, and return how many bytes are new.

    After the snapshot itself: what is lost between the two is made again by the next run.
    """
    size_bytes = 0
    try:
        if public_url(run) is None and keys_folder(run).is_dir():
            _remove_others(keys_folder(run), set())
        if current is not None and current.prepared is not None:
            size_bytes = _publish(run, current.prepared.folder, current.prepared, snapshot)
        place = list_folder(run.configuration)  # now: a vault may have been invited meanwhile that must not see it
        for parent in (run.layout.root, run.configuration.state.path):
            if parent / MEDIA_LIST != place:
                remove_media_list(parent)
    except (OSError, PermafrostError) as error:
        warn_of_list(run, error)
    return size_bytes


def list_folder(configuration: Configuration) -> Path | None:
    """Return where the media list is; None without media.

    In the repository, but not once a vault gets sealed media, which gets the repository too: then it is in the state
    folder, and is sent to the other vaults as a folder of its own.
    """
    sealed = configuration.sealed_media_path
    if sealed is None:
        return None
    is_apart = seals_media(sealed, configuration.state.path)
    return (configuration.state.path if is_apart else configuration.repository.path) / MEDIA_LIST


def _publish(run: RunContext, folder: Path, prepared: PreparedMediaList, snapshot: SnapshotId) -> int:
    before, _ = published_list(run, folder)
    index = MediaListIndex(
        repository=run.repository.repository_id,
        snapshot=str(snapshot),
        made_at=run.now,
        rows=sum(map(len, prepared.ids.values())),
        parts=(*prepared.before, prepared.part),
    )
    if prepared.keys is not None:  # first: a key list of another snapshot than the media list's is begun again
        _publish_keys(run, index, prepared.keys)
    content = _publish_part(run, folder, prepared.file, index, before)
    from permafrost.engines.media_list_state import remember_list  # noqa: PLC0415 - numpy, which the log has loaded

    remember_list(run.configuration.state.path, prepared.head, prepared.ids, hashlib.sha256(content).hexdigest())
    return prepared.part.size_bytes + len(content)


def _publish_part(
    run: RunContext, folder: Path, file: Path, index: MediaListIndex, before: MediaListIndex | None
) -> bytes:
    """Put the file, which is the last part, and the signed index into the folder; return the index's bytes."""
    make_folder_durably(folder)
    file.replace(folder / index.parts[-1].file_name)
    fsync_folder(folder)
    text = index.model_dump_json()
    signature = sign_detached(run.configuration.signing.gnupg_home, run.repository.fingerprint, text.encode())
    content = SignedMediaList(content=text, signature=signature.decode("ascii")).encode()
    write_durably(folder / INDEX_FILE, content, OBJECT_MODE)
    needed = [*index.parts, *(before.parts if before is not None else ())]  # a vault may be reading the last ones
    _remove_others(folder, {INDEX_FILE, *(part.file_name for part in needed)})
    return content


def _publish_keys(run: RunContext, index: MediaListIndex, keys: PreparedKeys) -> None:
    said = index.model_dump(exclude={"parts"})
    listed = KeyListIndex(**said, parts=(*keys.before, keys.part), public_url=keys.public_url)
    _publish_part(run, keys_folder(run), keys.file, listed, published_keys(run))


def _remove_others(folder: Path, needed: set[str]) -> None:
    for file in folder.iterdir():
        if file.name not in needed and not file.name.startswith("."):
            file.unlink()


def warn_of_list(run: RunContext, error: Exception) -> None:
    """Report that the list is not this snapshot's: no reason to make none."""
    run.report(Warned(f"the list of media files stays as it was: {str(error).partition(chr(10))[0]}"))


def keys_folder(run: RunContext) -> Path:
    """Return where the key list is."""
    return run.configuration.state.path / KEY_LIST


def public_url(run: RunContext) -> str | None:
    """Return where the files of the list are served, None if they are in a folder and no key list is needed."""
    media = run.configuration.media
    return media.public_url if media is not None else None


def published_keys(run: RunContext) -> KeyListIndex | None:
    """Return the key list in the state folder, None if there is none that can be read."""
    try:
        content = read_small(keys_folder(run) / INDEX_FILE, MAXIMUM_INDEX_BYTES)
        return parse_signed_list(content).keys(run.repository.repository_id)
    except (OSError, PermafrostError):
        return None


def published_list(run: RunContext, folder: Path) -> tuple[MediaListIndex | None, str]:
    """Return the list in the folder and its file's digest; None if there is none that can be read."""
    try:
        content = read_small(folder / INDEX_FILE, MAXIMUM_INDEX_BYTES)
        return parse_signed_list(content).index(run.repository.repository_id), hashlib.sha256(content).hexdigest()
    except (OSError, PermafrostError):
        return None, ""
