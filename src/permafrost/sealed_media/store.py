"""Makes the sealed media store: its folders, what is needed to read it, and no list of media beside it in plaintext."""

from __future__ import annotations

from contextlib import suppress
from importlib import resources
from pathlib import Path

from permafrost.repository.durable import make_folder_durably, space_errors, write_durably
from permafrost.repository.layout import FOLDER_MODE
from permafrost.repository.media_list import INDEX_FILE, MEDIA_LIST
from permafrost.repository.repository import SMALL_BYTES, Repository
from permafrost.sealed_media.layout import SCRIPT, SealedStore
from permafrost.sealed_media.state import STATE_FILE
from permafrost.small_files import read_small


def prepare_store(root: Path, repository: Repository) -> SealedStore:
    """Return the store in `root`, made if there is none; the repository's media list is gone then.

    That list says how large each file is, and a vault that gets sealed media has the repository too.
    """
    store = SealedStore(root)
    with space_errors(root):
        for folder in (store.root, store.parts, store.layout.objects):
            make_folder_durably(folder, FOLDER_MODE)
        store.layout.temporary.mkdir(mode=0o700, exist_ok=True)
    _place(store.root / SCRIPT, script(), 0o555)
    signing_key = repository.layout.signing_key
    _place(store.root / signing_key.name, read_small(signing_key, SMALL_BYTES), 0o444)
    remove_media_list(repository.path)
    return store


def seals_media(root: Path, state: Path) -> bool:
    """Return whether media are sealed into the store in `root`, though its disk may be away: the state knows of it."""
    return SealedStore(root).exists or (state / STATE_FILE).exists()


def remove_media_list(parent: Path) -> None:
    """Make the repository, or the state folder, have no media list, its index gone first. Syncthing's marker stays."""
    folder = parent / MEDIA_LIST
    with suppress(FileNotFoundError):
        (folder / INDEX_FILE).unlink(missing_ok=True)
        for file in folder.iterdir():
            if not file.name.startswith("."):
                file.unlink(missing_ok=True)


def script() -> bytes:
    """Return restore_media.py as this version ships it."""
    return resources.files("permafrost.sealed_media").joinpath("emergency", SCRIPT).read_bytes()


def _place(file: Path, content: bytes, mode: int) -> None:
    try:
        if read_small(file, SMALL_BYTES) == content:
            return
    except OSError:
        pass  # there is none yet, or something else is in its place
    write_durably(file, content, mode)
