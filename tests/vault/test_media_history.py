"""Media in a history: what a server deletes or overwrites stays for a time, and yesterday's tree can be had."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.repository.repository import Repository
from permafrost.vault.media_layout import lay_out_media
from tests.fixtures.delivery import Stage, make_stage, put_as_syncthing_does
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
    put_as_syncthing_does(source, _media(stage) / name)


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
