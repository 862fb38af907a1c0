"""A vault against the server's media list: what it lacks is counted and named, and whatever is no list is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.openpgp.signing import sign_detached
from permafrost.repository.media_list import (
    INDEX_FILE,
    MEDIA_LIST,
    SignedMediaList,
)
from permafrost.repository.repository import Repository
from permafrost.vault.invitation import media_list_folder_id
from permafrost.vault.media.balance import noted_balance
from permafrost.vault.media.needed import MediaBalance
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import receipt_of
from tests.fixtures.delivery import Stage, make_stage, put_as_syncthing_does
from tests.fixtures.media_list import media_row, publish_media_list
from tests.fixtures.server import SigningKey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
AVATAR = "accounts/avatars/000/000/001/original/00112233445566aa.png"
VIDEO = "media_attachments/files/117/662/831/954/212/746/original/4ab3c0ffee123456.mp4"
FILES = {AVATAR: b"a" * 100, VIDEO: b"b" * 200}


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A vault with two media files of a server, which has sent no list yet."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    media = _media(made)
    (media / ".stfolder").mkdir(parents=True)
    for name, content in FILES.items():
        _send(made, name, content)
    made.sender.snapshot(made.clock.wall)
    made.deliver()
    made.keep()
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


def _balance(stage: Stage) -> MediaBalance | None:
    with Keeper(stage.vault, None, stage.told.append, moment=stage.clock.read) as keeper:
        return noted_balance(keeper.servers[0].records)


def _scan(stage: Stage, passed: timedelta) -> None:
    stage.clock.pass_time(passed)
    stage.keep()


def test_what_lacks_is_counted_and_named(stage: Stage) -> None:
    """A needed file that never came is one that is missing, and after two hours a finding, until it comes."""
    other = "custom_emojis/images/000/000/007/original/ffeeddccbbaa9988.png"
    rows = [media_row(stage, name, len(content)) for name, content in FILES.items()]
    assert _balance(stage) is None
    publish_media_list(stage, b"".join([*rows, media_row(stage, other, 50)]))
    assert _balance(stage) == MediaBalance(3, 350, 2, 300, 0, 0, 0)
    _scan(stage, HOUR)
    assert "media-incomplete" not in stage.findings()
    _scan(stage, 2 * HOUR)
    (finding,) = (one for one in _open(stage) if one[0] == "media-incomplete")
    assert "1 of 3" in finding[1]
    assert "custom_emojis/images/000/000/007/original/" in finding[1]
    _send(stage, other, b"e" * 50)
    _scan(stage, HOUR)
    assert "media-incomplete" not in stage.findings()
    balance = _balance(stage)
    assert balance is not None
    assert (balance.missing, balance.held_bytes) == (0, 350)


def _open(stage: Stage) -> list[tuple[str, str]]:
    with Keeper(stage.vault, None, stage.told.append, moment=stage.clock.read) as keeper:
        return [(one.code, one.message) for one in keeper.servers[0].records.ledger.open()]


def test_changes_are_added_to_the_whole(stage: Stage) -> None:
    """A further part takes rows away and brings others; a list that begins again forgets what it does not name."""
    whole = b"".join(media_row(stage, name, len(content)) for name, content in FILES.items())
    publish_media_list(stage, whole)
    gone = f"{VIDEO.rsplit('/', 2)[0]}\n".encode()
    publish_media_list(stage, whole, gone + media_row(stage, AVATAR, 77))
    assert _balance(stage) == MediaBalance(1, 77, 1, 100, 1, 0, 0)
    _scan(stage, 3 * HOUR)
    assert "media-different" in stage.findings()
    publish_media_list(stage, media_row(stage, VIDEO, 200))
    assert _balance(stage) == MediaBalance(1, 200, 1, 200, 0, 0, 0)
    assert "media-different" not in stage.findings()


def test_the_receipt_says_how_it_stands(stage: Stage) -> None:
    """The server learns what is needed, held, missing and different, in files and bytes, and of which snapshot."""
    publish_media_list(stage, media_row(stage, VIDEO, 200) + media_row(stage, AVATAR, 99), b"")
    with Keeper(stage.vault, None, stage.told.append, moment=stage.clock.read) as keeper:
        keeper.turn()
        receipt = receipt_of(stage.vault, keeper.servers[0].statement(stage.clock.wall), "")
    assert receipt.media is not None
    assert receipt.media.model_dump(
        include={"needed", "held", "missing", "different", "held_bytes", "needed_bytes"}
    ) == {
        "needed": 2,
        "needed_bytes": 299,
        "held": 2,
        "held_bytes": 300,
        "missing": 0,
        "different": 1,
    }
    assert receipt.media.snapshot == str(max(stage.kept()))


def test_what_is_needed_is_kept_for_as_long(stage: Stage) -> None:
    """A file that the server has deleted and its database still needs outlives the time for deleted files."""
    publish_media_list(stage, media_row(stage, VIDEO, 200))
    for name in FILES:
        (_media(stage) / name).unlink()
    for _ in range(2):
        _scan(stage, 31 * DAY)
    assert (stage.history / "media" / VIDEO).read_bytes() == FILES[VIDEO]
    assert not (stage.history / "media" / AVATAR).exists()
    publish_media_list(stage, media_row(stage, AVATAR, 100))
    _scan(stage, 31 * DAY)
    assert not (stage.history / "media" / VIDEO).exists()


@pytest.mark.parametrize("fault", ["another key", "cut part", "no rows", "a bomb", "another repository", "no JSON"])
def test_what_is_no_list_is_refused(stage: Stage, fault: str, foreign_key: SigningKey) -> None:
    """A list that is damaged or forged is a finding, changes nothing, and stops nothing else."""
    row = media_row(stage, VIDEO, 200)
    publish_media_list(stage, row)
    before = _balance(stage)
    folder = stage.sender.repository.path / MEDIA_LIST
    match fault:
        case "another key":
            publish_media_list(stage, b"", key=foreign_key)
        case "cut part":
            publish_media_list(stage, row * 2, cut=1)
        case "no rows":
            publish_media_list(stage, b"../../../../etc/passwd\t1\tx\ty\n")
        case "a bomb":
            publish_media_list(stage, b"\0" * (64 << 20))
        case "another repository":
            index = json.loads(json.loads((folder / INDEX_FILE).read_bytes())["content"])
            text = json.dumps({**index, "repository": "f" * 32})
            signature = sign_detached(stage.sender.key.home, stage.sender.key.fingerprint, text.encode()).decode()
            (folder / INDEX_FILE).write_bytes(SignedMediaList(content=text, signature=signature).encode())
        case _:
            (folder / INDEX_FILE).write_bytes(b"no JSON")
    stage.sender.snapshot(stage.clock.wall + HOUR)
    stage.deliver()
    stage.keep()
    assert stage.findings() & {"odd-file", "bad-signature"}
    assert _balance(stage) == before
    assert len(stage.kept()) >= 3


def test_a_list_that_comes_apart_goes_first(stage: Stage) -> None:
    """Where the repository must not have the list, a vault takes it from a folder of its own; later from either."""
    publish_media_list(stage, media_row(stage, VIDEO, 200))
    listed, apart = stage.sender.repository.path / MEDIA_LIST, stage.vault.root / stage.server.name / MEDIA_LIST
    list_folders = [one for one in stage.vault.folders_of(stage.server, ()) if one.kind == "media-list"]
    assert [one.path for one in list_folders] == [apart]
    assert [one.folder_id for one in list_folders] == [media_list_folder_id(stage.server.repository_id)]
    publish_media_list(stage, media_row(stage, VIDEO, 200), media_row(stage, AVATAR, 100))
    listed.rename(apart)
    publish_media_list(stage, media_row(stage, VIDEO, 200))
    assert _balance(stage) == MediaBalance(2, 300, 2, 300, 0, 0, 0)
    for file in apart.iterdir():
        file.unlink()
    _scan(stage, HOUR)
    assert _balance(stage) == MediaBalance(1, 200, 1, 200, 0, 0, 0)


def test_a_full_disk_takes_no_list(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk has no room a list is not taken in, whatever its size; afterwards it is."""
    with monkeypatch.context() as full:
        full.setattr("permafrost.vault_keeping.quota.free_bytes", lambda _: (0, 1 << 40))
        publish_media_list(stage, media_row(stage, VIDEO, 200))
        assert _balance(stage) is None
        assert "disk-full" in stage.findings()
    _scan(stage, HOUR)
    assert _balance(stage) == MediaBalance(1, 200, 1, 200, 0, 0, 0)
