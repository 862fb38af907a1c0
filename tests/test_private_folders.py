"""Private folders where others write too: attacks by another local user, and what killed processes left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from permafrost.errors import ConfigurationError
from permafrost.private_folders import (
    LOCK,
    check_place,
    is_own_folder,
    locked_folder,
    own_folders,
    remove_abandoned,
    remove_own_folder,
)
from tests.fixtures.other_user import OTHER_USER, as_other_user, as_root


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that everybody may write to, as /var/tmp is."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    return shared


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file in it, which has to be there at the end."""
    folder = tmp_path / "victim"
    folder.mkdir(mode=0o700)
    (folder / "precious").write_text("kept")
    yield folder
    assert (folder / "precious").read_text() == "kept"


def test_a_folder_is_private_and_vanishes(place: Path) -> None:
    """A locked folder is closed to all others, survives a clean-up while it is in use, and is gone after the block."""
    with locked_folder(place, "mine-") as folder:
        (folder / "file").touch()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert own_folders(place, "mine-") == [folder]
        remove_abandoned(place, "mine-")
        assert (folder / "file").exists()
    assert list(place.iterdir()) == []


def test_a_killed_process_leaves_its_folder_to_the_next(place: Path) -> None:
    """A folder whose maker was killed is removed; before that it is handed to whoever knows what else to end."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom permafrost.private_folders import locked_folder\n"
        "with locked_folder(Path(sys.argv[1]), 'mine-') as folder:\n"
        "    (folder / 'deep').mkdir()\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(place)], check=False)
    (left,) = place.iterdir()
    seen: list[bool] = []
    remove_abandoned(place, "mine-", lambda folder: seen.append((folder / "deep").is_dir()))
    assert seen == [True]
    assert not left.exists()


def test_links_are_not_followed(place: Path, victim: Path) -> None:
    """A link under such a name, or inside such a folder, is never followed."""
    (place / "mine-link").symlink_to(victim)
    own = place / "mine-own"
    own.mkdir(mode=0o700)
    (own / "data").symlink_to(victim)
    (own / LOCK).symlink_to(victim / "precious")
    remove_abandoned(place, "mine-")
    assert (place / "mine-link").is_symlink()
    assert own.exists(), "a link in the lock's place: nobody of ours made that"
    remove_own_folder(own)
    assert not own.exists()
    remove_own_folder(place / "mine-link")
    assert (place / "mine-link").is_symlink()


def test_an_open_folder_is_not_ours(place: Path) -> None:
    """A folder that others may write to or list is not taken for ours, even if we own it."""
    for mode in (0o777, 0o755, 0o770, 0o711):
        folder = place / f"mine-{mode:o}"
        folder.mkdir()
        folder.chmod(mode)
        assert not is_own_folder(folder)
    remove_abandoned(place, "mine-")
    assert len(list(place.iterdir())) == 4


@as_root
def test_another_users_folder_is_left_alone(server_folder: Path, victim: Path) -> None:
    """A folder that another user made under our name, with links to a victim in it, is neither used nor removed."""
    place = server_folder / "everybodys"
    place.mkdir()
    place.chmod(0o1777)
    as_other_user(
        "import os, sys\nos.chdir(sys.argv[1])\nos.mkdir('mine-theirs', 0o700)\n"
        "os.symlink(sys.argv[2], 'mine-theirs/data')\n"
        "os.symlink(sys.argv[2] + '/precious', 'mine-theirs/' + sys.argv[3])",
        place,
        victim,
        LOCK,
    )
    ended: list[Path] = []
    remove_abandoned(place, "mine-", ended.append)
    remove_own_folder(place / "mine-theirs")
    assert ended == []
    assert own_folders(place, "mine-") == []
    assert (place / "mine-theirs" / "data").is_symlink()


@as_root
def test_a_place_that_others_can_exchange(server_folder: Path) -> None:
    """A place below another user's folder, or below one without the sticky bit that all may write to, is refused."""
    theirs = server_folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, OTHER_USER.pw_uid, OTHER_USER.pw_gid)
    below = theirs / "ours"
    below.mkdir()
    open_to_all = server_folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for refused in (theirs, below, open_to_all):
        with pytest.raises(ConfigurationError, match="another user could exchange"):
            check_place(refused)
    open_to_all.chmod(0o1777)
    check_place(open_to_all)


def test_a_place_that_comes_and_goes(tmp_path: Path) -> None:
    """Where other processes make and remove the place itself at any moment, looking into it finds what is there."""
    place, looks = tmp_path / "place", 3000
    is_over = Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            place.mkdir()
            place.rmdir()

    with ThreadPoolExecutor(1) as other:
        going = other.submit(come_and_go)
        try:
            for _ in range(looks):
                remove_abandoned(place, "gpg-")
                assert own_folders(place, "gpg-") == []
        finally:
            is_over.set()
        going.result()
