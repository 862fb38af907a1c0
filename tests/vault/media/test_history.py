"""Media in a history: what a server deletes or overwrites stays for a time, and yesterday's tree can be had."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.repository.repository import Repository
from permafrost.vault.media.layout import lay_out_media
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import receipt_of
from tests.fixtures.delivery import Stage, make_stage, put_as_syncthing_does
from tests.fixtures.other_user import bound_by_modes
from tests.fixtures.server import SigningKey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FILES = {
    "accounts/avatars/000/001/original/a.png": b"a" * 100,
    "media_attachments/files/1/original/b.mp4": b"b" * 200,
    "media_attachments/files/2/original/c.jpg": b"c" * 300,
}


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A vault that keeps a snapshot and the media of then."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    (_media(made) / ".stfolder").mkdir(parents=True)
    for name, content in FILES.items():
        _send(made, name, content)
    _snapshot(made)
    made.clock.pass_time(HOUR)
    return made


def _media(stage: Stage) -> Path:
    media = stage.vault.media(stage.server)
    assert media is not None
    return media


def _send(stage: Stage, name: str, content: bytes) -> None:
    source = stage.vault.root / "sent"
    source.write_bytes(content)
    if len(name) < 200:
        put_as_syncthing_does(source, _media(stage) / name)
    else:  # too long for the name of a temporary file beside it
        (_media(stage) / name).parent.mkdir(parents=True, exist_ok=True)
        source.replace(_media(stage) / name)


def _snapshot(stage: Stage) -> str:
    snapshot = stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep()
    return str(snapshot)


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _as_of(stage: Stage, snapshot: str) -> dict[str, bytes]:
    target = stage.vault.root / f"laid-out-{snapshot}"
    lay_out_media(stage.vault, "example.social", snapshot, target, ignore_events)
    return _tree(target)


def _first(stage: Stage) -> str:
    return str(stage.kept()[0])


def test_media_are_linked(stage: Stage) -> None:
    """Each file that has come is in the history, at its path, and takes no room of its own."""
    for name in FILES:
        assert (stage.history / "media" / name).stat().st_ino == (_media(stage) / name).stat().st_ino


def test_all_media_deleted(stage: Stage) -> None:
    """Media that the server deletes stay at their place in the history for keep_removed_media_days, then go."""
    first = _first(stage)
    for name in FILES:
        (_media(stage) / name).unlink()
    stage.keep()
    assert "media-removed" in stage.findings()
    for _ in range(29):
        stage.clock.pass_time(DAY)
        stage.keep(turns=1)
    assert _tree(stage.history / "media") == FILES
    assert _as_of(stage, first) == FILES
    for _ in range(2):
        stage.clock.pass_time(DAY)
        stage.keep(turns=1)
    assert _tree(stage.history / "media") == {}
    assert [path.name for path in (stage.history / "media").iterdir()] == []


def test_media_overwritten_twice(stage: Stage) -> None:
    """Files that are overwritten, twice over, can be had as they were when a snapshot came."""
    first = _first(stage)
    for number in range(2):
        for name in FILES:
            _send(stage, name, b"junk %d" % number)
        stage.keep()
        stage.clock.pass_time(HOUR)
    assert "media-replaced" in stage.findings()
    second = _snapshot(stage)
    assert _as_of(stage, first) == FILES
    assert _as_of(stage, second) == dict.fromkeys(FILES, b"junk 1")
    assert _tree(stage.history / "media") == dict.fromkeys(FILES, b"junk 1")


def test_a_restored_database_of_yesterday_finds_its_media(stage: Stage) -> None:
    """Deleted, replaced, come too late, or a folder in a file's place: the tree of then is complete."""
    first = _first(stage)
    _send(stage, "late.png", b"late")
    deleted, replaced, *_ = FILES
    (_media(stage) / deleted).unlink()
    _send(stage, replaced, b"other")
    third = list(FILES)[2]
    (_media(stage) / third).unlink()
    _send(stage, f"{third}/nested", b"a folder now")
    stage.keep()
    stage.clock.pass_time(HOUR)
    assert _as_of(stage, first) == {**FILES, "late.png": b"late"}


def test_a_file_that_comes_again(stage: Stage) -> None:
    """A file that was deleted and comes back changed is at its place; the old one is still to be had."""
    first = _first(stage)
    name = next(iter(FILES))
    (_media(stage) / name).unlink()
    stage.keep()
    stage.clock.pass_time(HOUR)
    _send(stage, name, b"back")
    stage.keep()
    assert (stage.history / "media" / name).read_bytes() == b"back"
    stage.clock.pass_time(HOUR)
    assert _as_of(stage, first)[name] == FILES[name]


def test_odd_names_and_links(stage: Stage, tmp_path: Path) -> None:
    """Links and pipes are not kept, names of any bytes are, and what Syncthing is still writing is passed over."""
    (tmp_path / "secret").write_text("secret")
    (_media(stage) / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(_media(stage) / "pipe")
    (_media(stage) / ".syncthing.half.png.tmp").write_text("half")
    odd = os.fsdecode(b"caf\xe9 \n*?.png")
    _send(stage, odd, b"odd")
    stage.keep()
    assert _tree(stage.history / "media") == {**FILES, odd: b"odd"}
    assert "odd-file" in stage.findings()


AWKWARD = (
    b".stignore",
    b".stignore-me.png",
    b".stfolder.png",
    b"below/.stfolder/a.png",
    b"below/.stignore",
    b"~syncthing",
    b"x" * 255,
    b"line\nbreak\r\x1b[2J.png",
    b"caf\xe9.png",
    b"\xff" * 200,
    b" ",
    b"deep/" * 60 + b"a.png",
)


@pytest.mark.parametrize("name", AWKWARD[1:], ids=repr)
def test_awkward_names_are_kept(stage: Stage, name: bytes) -> None:
    """Whatever a file is called, it is kept; only what Syncthing itself keeps at the top is none of the server's."""
    _send(stage, os.fsdecode(name), b"awkward")
    (_media(stage) / ".stignore").write_bytes(b"Syncthing's own")
    stage.keep()
    assert _tree(stage.history / "media") == {**FILES, os.fsdecode(name): b"awkward"}
    assert stage.findings() == set()


def test_a_path_too_long_for_the_history(stage: Stage) -> None:
    """What the file system allows where it was received, and not in the history, is named; the rest is kept."""
    folder = _media(stage)
    while len(os.fsencode(folder)) < 3800:
        folder = folder / ("d" * 200)
    name = "f" * (4090 - len(os.fsencode(folder)))
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"long")
    _send(stage, "after.png", b"after")
    stage.keep()
    assert _tree(stage.history / "media") == {**FILES, "after.png": b"after"}
    assert stage.findings() == {"odd-file"}


def test_a_version_that_cannot_be_set_aside_stays(stage: Stage) -> None:
    """A file whose older version would have too long a path among the replaced ones is not replaced, and it is told."""
    room = 4090 - len(os.fsencode(stage.history / "media"))
    name = "/".join(["d" * 200] * ((room - 100) // 201)) + "/"
    name += "f" * (room - len(name) - 1)
    _send(stage, name, b"first")
    stage.keep()
    _send(stage, name, b"other")
    _send(stage, "after.png", b"after")
    stage.clock.pass_time(HOUR)
    stage.keep()
    assert _tree(stage.history / "media") == {**FILES, name: b"first", "after.png": b"after"}
    assert "odd-file" in stage.findings()


def test_a_tenth_of_the_media_deleted_or_replaced(stage: Stage) -> None:
    """Ten files of a hundred that go within a day are reported, in however many steps; so are ten that change."""
    for number in range(97):
        _send(stage, f"many/{number}", b"many")
    stage.keep()
    for number in range(11):
        (_media(stage) / f"many/{number}").unlink()
        stage.clock.pass_time(HOUR)
        stage.keep(turns=1)
    assert stage.findings() == {"media-removed"}
    for number in range(11):
        _send(stage, f"many/{20 + number}", b"other")
    stage.clock.pass_time(HOUR)
    stage.keep()
    assert stage.findings() == {"media-removed", "media-replaced"}


def test_a_link_in_a_folders_place_hides_no_deletion(stage: Stage) -> None:
    """Media are gone if a link to the history's own copies takes the place of their folder."""
    for name in ("accounts", "media_attachments"):
        shutil.rmtree(_media(stage) / name)
        (_media(stage) / name).symlink_to(stage.history / "media" / name)
    stage.clock.pass_time(HOUR)
    stage.keep()
    assert stage.findings() == {"media-removed", "odd-file"}
    assert _tree(stage.history / "media") == FILES


def test_a_receipt_says_what_is_not_kept(stage: Stage) -> None:
    """Many paths that are not kept are counted, some are named, and the receipt says so, in printable letters."""
    for number in range(60):
        os.mkfifo(_media(stage) / os.fsdecode(b"pipe\n\xff%d" % number))
    with Keeper(stage.vault, None, ignore_events, moment=stage.clock.read) as keeper:
        keeper.turn()
        receipt = receipt_of(stage.vault, keeper.servers[0].statement(stage.clock.wall), "")
    assert receipt.media_not_kept == 60
    messages = [finding.message for finding in receipt.findings if finding.kind == "odd-file"]
    assert len(messages) == 21
    assert any("60 paths" in message for message in messages)
    assert all(message.isprintable() for message in messages)


def test_a_folder_without_any_right(stage: Stage) -> None:
    """A folder that its owner cannot read is named, nothing in it counts as gone, and the rest is kept."""
    _send(stage, "after.png", b"after")
    closed = (_media(stage) / "accounts", stage.received / "objects" / next((stage.received / "objects").iterdir()))
    for folder in closed:
        folder.chmod(0)
    stage.clock.pass_time(HOUR)
    with bound_by_modes():
        stage.keep()
    for folder in closed:
        folder.chmod(0o755)
    assert _tree(stage.history / "media") == {**FILES, "after.png": b"after"}
    assert stage.findings() == {"odd-file", "cannot-read"}
    stage.clock.pass_time(40 * DAY)
    stage.keep()
    assert _tree(stage.history / "media") == {**FILES, "after.png": b"after"}


def test_a_disk_that_is_not_mounted_deletes_nothing(stage: Stage) -> None:
    """Without Syncthing's marker the received folder is not what it should be, and nothing counts as gone."""
    (_media(stage) / ".stfolder").rmdir()
    for name in FILES:
        (_media(stage) / name).unlink()
    for _ in range(40):
        stage.clock.pass_time(DAY)
        stage.keep(turns=1)
    assert _tree(stage.history / "media") == FILES


def test_lost_records_lose_no_media(stage: Stage) -> None:
    """Without its records a vault keeps what was deleted for the whole time again."""
    deleted = next(iter(FILES))
    (_media(stage) / deleted).unlink()
    stage.keep()
    for file in stage.vault.records(stage.server).parent.glob("keeping.sqlite*"):
        file.unlink()
    for _ in range(28):
        stage.clock.pass_time(DAY)
        stage.keep(turns=1)
    assert _tree(stage.history / "media") == FILES
