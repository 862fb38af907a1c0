"""Nothing but regular files is taken out of a folder that somebody else writes, whatever its names are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from permafrost.repository.objects import StoredObject
from permafrost.small_files import NotAFileError, opened_folder, read_small
from permafrost.vault.linking import finished, hashing, hashing_within, take

CONTENT = b"what the server sent\n"
TRAPS: dict[str, Callable[[Path], object]] = {
    "a link to a file": lambda place: place.symlink_to(place.with_name("good")),
    "a link to nothing": lambda place: place.symlink_to("nowhere"),
    "a pipe": os.mkfifo,
    "a folder": lambda place: place.mkdir(),
}


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """A folder with one file."""
    folder = tmp_path / "received"
    folder.mkdir()
    (folder / "good").write_bytes(CONTENT)
    return folder


def test_a_file_is_read_hashed_and_taken(received: Path, tmp_path: Path) -> None:
    """A regular file comes out as it is."""
    expected = StoredObject(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    with opened_folder(received) as folder:
        assert read_small("good", len(CONTENT), folder=folder) == CONTENT
        assert finished(hashing_within(folder, "good")) == expected
        take(folder, "good", tmp_path / "taken")
        with pytest.raises(FileNotFoundError):
            read_small("missing", 1, folder=folder)
    assert finished(hashing(tmp_path / "taken", from_disk=True)) == expected


def test_a_large_file_is_not_read(received: Path) -> None:
    """A file that is larger than it can be is refused, before it fills the memory."""
    with opened_folder(received) as folder, pytest.raises(NotAFileError, match="larger"):
        read_small("good", len(CONTENT) - 1, folder=folder)


@pytest.mark.parametrize("trap", TRAPS)
def test_traps_are_refused(received: Path, tmp_path: Path, trap: str) -> None:
    """What is no regular file is neither followed nor waited for, and nothing of it is left."""
    TRAPS[trap](received / "trap")
    with opened_folder(received) as folder:
        with pytest.raises(NotAFileError):
            read_small("trap", 1000, folder=folder)
        with pytest.raises(NotAFileError):
            hashing_within(folder, "trap")
        with pytest.raises(NotAFileError):
            take(folder, "trap", tmp_path / "taken")
    with pytest.raises(NotAFileError):
        hashing(received / "trap")
    assert not os.path.lexists(tmp_path / "taken")


@pytest.mark.parametrize("trap", ["a link to a file", "a link to nothing", "a pipe"])
def test_a_folder_that_is_none(received: Path, trap: str) -> None:
    """No link is followed on the way to a file."""
    TRAPS[trap](received / "trap")
    with pytest.raises(NotAFileError), opened_folder(received, "trap"):
        pytest.fail("it was opened")
