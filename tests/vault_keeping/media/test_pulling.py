"""A vault fetches what its server's key list names: exactly that, once, and it is kept like any media."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.repository.repository import Repository
from tests.fixtures.cdn import Cdn, cut_after, once, redirect, served_as, status
from tests.fixtures.server import SigningKey
from tests.fixtures.stored_media import StoredMedia, make_stored_media

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def stored(tmp_path: Path, repository: Repository, signing_key: SigningKey, cdn: Cdn) -> StoredMedia:
    """A vault of a server with media in an object store; no list has come yet."""
    return make_stored_media(tmp_path / "vault", repository, signing_key, cdn)


def path_of(number: int) -> str:
    """Return the path of an attachment's original."""
    folder = f"{number // 10**6:03}/{number // 1000 % 1000:03}/{number % 1000:03}"
    return f"media_attachments/files/{folder}/original/{number:016x}.png"


def upload(stored: StoredMedia, numbers: range) -> dict[str, int | None]:
    """Have the store serve attachments, and return their sizes."""
    files = {path_of(number): b"\x89PNG" + f"{number} ".encode() * (20 + number % 50) for number in numbers}
    stored.cdn.files |= files
    return {path: len(content) for path, content in files.items()}


@pytest.mark.timeout(1800)
def test_the_first_pull_is_whole_and_an_hour_costs_what_is_new(
    stored: StoredMedia, request: pytest.FixtureRequest
) -> None:
    """Each file that the list names is asked for once, and is equal; fifty new files are fifty requests."""
    count = 20_000 if request.config.getoption("--long") else 500
    stored.publish_files(upload(stored, range(1, count + 1)))
    stored.keep(within_s=1500)
    assert stored.held() == stored.cdn.files
    assert set(stored.cdn.counts().values()) == {1}
    balance = stored.balance()
    assert balance is not None
    assert (balance.needed, balance.held, balance.missing, balance.different) == (count, count, 0, 0)
    assert not {kind for kind in stored.findings() if kind.startswith("media")}
    stored.cdn.asked.clear()
    new = upload(stored, range(count + 1, count + 51))
    stored.publish_files(new)
    stored.keep(HOUR)
    assert sorted(stored.cdn.asked) == sorted(new)
    assert stored.held() == stored.cdn.files
    stored.cdn.asked.clear()
    stored.keep(HOUR)
    stored.publish_files({}, gone=())
    stored.keep(HOUR)
    assert stored.cdn.asked == []


def test_what_is_deleted_is_kept_for_a_time(stored: StoredMedia) -> None:
    """What the list no longer names is a deletion: a finding if it is much, and the history keeps it for its time."""
    files = upload(stored, range(1, 101))
    stored.publish_files(files)
    stored.keep()
    gone = tuple(list(files)[:40])
    stored.publish_files({}, gone=gone)
    stored.keep(HOUR)
    assert "40 of 100" in stored.findings()["media-removed"]
    assert not [path for path in gone if (stored.media / path).exists()]
    assert len(stored.held()) == 100
    stored.publish_files({path: size for path, size in files.items() if path not in gone}, is_whole=True)
    stored.keep(29 * DAY)
    assert len(stored.held()) == 100
    stored.keep(2 * DAY)
    assert sorted(stored.held()) == sorted(set(files) - set(gone))


def test_what_cannot_be_had_is_said_and_asked_for_ever_less_often(stored: StoredMedia) -> None:
    """Missing, closed and unfit files are findings with a count, cost few requests, and come when they can be had."""
    files = upload(stored, range(1, 7))
    absent, closed, unfit, typed, away, good = files
    del stored.cdn.files[absent]
    stored.cdn.faults |= {
        closed: status(403),
        typed: served_as("text/html"),
        away: redirect("ftp://elsewhere.example/"),
    }
    stored.publish_files({**files, unfit: 7})
    stored.keep()
    assert list(stored.held()) == [good]
    found = stored.findings()
    assert "does not have 1 media file" in found["media-absent"]
    assert absent in found["media-absent"]
    assert closed in found["media-closed"]
    assert "2 media files" in found["media-unfit"]
    assert away in found["media-refused"]
    for _ in range(12):
        stored.keep(2 * HOUR)
    assert stored.cdn.counts()[absent] == 5
    assert stored.cdn.counts()[unfit] == 3
    stored.cdn.files |= {absent: b"\x89PNG" + b"1 " * 21}
    stored.cdn.faults.clear()
    stored.publish_files(files)
    stored.keep(8 * DAY)
    assert sorted(stored.held()) == sorted(files)
    assert not {"media-absent", "media-closed", "media-unfit", "media-refused"} & stored.findings().keys()


def test_a_store_that_is_busy_is_left_alone(stored: StoredMedia) -> None:
    """After a 429 nothing is asked for the time that it names, and then all comes."""
    files = upload(stored, range(1, 11))
    first = next(iter(files))
    stored.cdn.faults[first] = once(status(429, Retry_After="600"))
    stored.set(concurrent=1)
    stored.publish_files(files)
    stored.keep()
    assert stored.cdn.asked == [first]
    stored.keep(timedelta(minutes=11))
    assert stored.held() == stored.cdn.files
    assert stored.cdn.counts()[first] == 2


def test_a_store_that_does_not_answer_is_a_finding(stored: StoredMedia) -> None:
    """A store that is down is asked rarely, and is a finding after an hour, until it answers."""
    files = upload(stored, range(1, 51))
    stored.url = "http://127.0.0.1:9/media"
    stored.publish_files(files)
    stored.keep()
    assert "media-unreachable" not in stored.findings()
    for _ in range(4):
        stored.keep(timedelta(minutes=20))
    assert "has not answered since" in stored.findings()["media-unreachable"]
    stored.set_source(url=stored.cdn.url)
    stored.keep(timedelta(minutes=20))
    assert stored.held() == stored.cdn.files
    assert "media-unreachable" not in stored.findings()


def test_another_address_is_fetched_from_when_confirmed(stored: StoredMedia) -> None:
    """A list that names another address is not followed until the vault's owner confirms it."""
    stored.publish_files(upload(stored, range(1, 4)))
    stored.keep()
    stored.url = stored.cdn.url.replace("/media", "/elsewhere")
    stored.cdn.asked.clear()
    more = upload(stored, range(4, 7))
    stored.publish_files(more)
    stored.keep(HOUR)
    assert "/elsewhere" in stored.findings()["media-address"]
    assert stored.cdn.asked == []
    stored.set_source(url=stored.cdn.url)
    stored.keep(HOUR)
    assert stored.held() == stored.cdn.files
    assert "media-address" not in stored.findings()


def test_a_list_of_somebody_else_is_not_followed(stored: StoredMedia, foreign_key: SigningKey) -> None:
    """A key list with another signature is a finding, and nothing is asked for."""
    files = upload(stored, range(1, 4))
    stored.publish_files(files, key=foreign_key)
    stored.keep()
    assert "bad-signature" in stored.findings()
    assert stored.cdn.asked == []


def test_private_addresses_need_leave(stored: StoredMedia) -> None:
    """Without leave in vault.toml nothing is asked of a machine in a private network."""
    stored.set(allow_private_addresses=False)
    stored.set_source(url=stored.cdn.url)
    files = upload(stored, range(1, 4))
    stored.publish_files(files)
    stored.keep()
    assert stored.cdn.asked == []
    assert "127.0.0.1" in stored.findings()["media-refused"]


def test_a_day_has_its_bytes(stored: StoredMedia) -> None:
    """When a day's bytes are used up the rest waits for the next day, and a restart does not begin a day."""
    files = upload(stored, range(1, 4))
    stored.set(gigabytes_a_day=1)
    stored.keep()
    stored.use_up(10**9 - 10)
    stored.publish_files(files)
    stored.keep()
    assert stored.cdn.asked == []
    stored.keep(HOUR)
    assert "3 media files wait" in stored.findings()["media-budget"]
    stored.keep(DAY)
    assert stored.held() == stored.cdn.files


def test_damaged_files_are_fetched_again(stored: StoredMedia) -> None:
    """A file in the history with a flipped bit is fetched again from the store, and is right again."""
    files = upload(stored, range(1, 4))
    stored.publish_files(files)
    stored.keep()
    path = next(iter(files))
    kept = stored.stage.history / "media" / path
    content = bytearray(kept.read_bytes())
    content[5] ^= 1
    with kept.open("r+b") as file:
        file.write(content)
    stored.keep(8 * DAY)
    stored.keep(HOUR)
    assert stored.held() == stored.cdn.files
    assert stored.cdn.counts()[path] == 2
    assert "mended" in stored.findings()


def test_a_cut_file_is_continued_after_a_restart(stored: StoredMedia) -> None:
    """What came of a file stays over a restart, and only the rest is asked for; other unfinished files are cleared."""
    path = path_of(1)
    stored.cdn.files[path] = bytes(range(256)) * 4000
    stored.cdn.faults[path] = once(cut_after(500_000))
    stored.publish_files({path: 1_024_000})
    stored.keep()
    parts = stored.stage.vault.unfinished_media(stored.stage.server)
    assert len(list(parts.iterdir())) == 1
    (parts / "stale.part").write_bytes(b"x")
    stored.keep(HOUR)
    assert stored.held() == stored.cdn.files
    assert list(parts.iterdir()) == []
    assert stored.cdn.headers[-1]["Range"].startswith("bytes=")


def test_what_is_in_its_place_is_not_fetched_again(stored: StoredMedia) -> None:
    """After records are lost, or a kill before they were written, files in their places cost no request."""
    stored.publish_files(upload(stored, range(1, 21)))
    stored.keep()
    stored.cdn.asked.clear()
    for file in stored.stage.vault.root.joinpath(stored.stage.server.name).glob("keeping.sqlite*"):
        file.unlink()
    stored.keep(HOUR)
    assert stored.cdn.asked == []
    assert stored.held() == stored.cdn.files
    balance = stored.balance()
    assert balance is not None
    assert balance.missing == 0


def test_a_lying_store_is_found(stored: StoredMedia) -> None:
    """What is fetched again later is compared with what came first: other bytes are a finding, the first are kept."""
    files = upload(stored, range(1, 6))
    stored.set(recheck_days=30)
    stored.publish_files(files)
    stored.keep()
    first = dict(stored.held())
    altered, vanished, *_ = files
    stored.cdn.files[altered] = bytes(reversed(stored.cdn.files[altered]))
    del stored.cdn.files[vanished]
    stored.keep(32 * DAY)
    stored.keep(HOUR)
    found = stored.findings()
    assert altered in found["media-altered"]
    assert vanished in found["media-vanished"]
    assert stored.held() == first
