"""One file from a web cache that misbehaves: it comes whole, or it is said why not, and nothing is left half."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from permafrost.media_store.answers import Answer, Outcome, Wanted
from permafrost.media_store.connecting import CheckedBackend, CheckedTransport
from permafrost.media_store.fetching import Fetching
from permafrost.media_store.parts import Parts
from permafrost.media_store.rates import Rate
from tests.fixtures.cdn import Cdn, cut_after, once, redirect, served_as, status

PNG = "accounts/avatars/000/000/001/original/00112233445566aa.png"
CONTENT = b"\x89PNG" + bytes(range(256)) * 2000


@dataclass
class Bench:
    """A folder, and what fetches into it."""

    cdn: Cdn
    folder: Path
    lookups: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for name in ("media", "parts"):
            (self.folder / name).mkdir()

    def fetching(self, *, allows_private: bool = True, numbers: dict[str, list[str]] | None = None) -> Fetching:
        """Return what fetches; `numbers` are what names mean, each time they are looked up the next one."""

        def lookup(host: str, _port: int) -> list[str]:
            self.lookups.append(host)
            return [numbers[host].pop(0)] if numbers and host in numbers else [host]

        backend = CheckedBackend(allows_private=allows_private, lookup=lookup)
        return Fetching(
            self.cdn.url,
            Parts(self.folder / "parts", self.folder / "media"),
            CheckedTransport(backend, 4),
            Rate(10_000),
            Rate(1e9),
            allows_http=True,
            stopped=self.stopped,
        )

    def fetch(self, path: str = PNG, size_bytes: int | None = None, etag: str = "") -> Answer:
        """Fetch one file."""
        fetching = self.fetching()
        try:
            return fetching.fetch(Wanted(path, size_bytes, "one.part", etag))
        finally:
            fetching.close()

    def parts(self) -> list[str]:
        """Return what is left unfinished."""
        return [file.name for file in (self.folder / "parts").iterdir()]


@pytest.fixture
def bench(cdn: Cdn, tmp_path: Path) -> Bench:
    """A bench whose web cache has one file."""
    cdn.files[PNG] = CONTENT
    return Bench(cdn, tmp_path)


def test_a_file_comes_whole(bench: Bench) -> None:
    """A file has its bytes, a mode that a web server can read, and cost one request without cookies or credentials."""
    answer = bench.fetch(size_bytes=len(CONTENT))
    assert (answer.outcome, answer.size_bytes) == (Outcome.FETCHED, len(CONTENT))
    assert answer.sha256 == hashlib.sha256(CONTENT).hexdigest()
    placed = bench.folder / "media" / PNG
    assert placed.read_bytes() == CONTENT
    assert placed.stat().st_mode & 0o777 == 0o644
    assert bench.parts() == []
    assert bench.cdn.asked == [PNG]
    assert {name.lower() for name in bench.cdn.headers[0]} == {"host", "accept", "accept-encoding", "user-agent"}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (404, Outcome.ABSENT),
        (410, Outcome.ABSENT),
        (403, Outcome.CLOSED),
        (401, Outcome.CLOSED),
        (500, Outcome.FAILED),
        (206, Outcome.FAILED),
        (304, Outcome.FAILED),
    ],
)
def test_statuses(bench: Bench, code: int, outcome: Outcome) -> None:
    """What is not there, closed or broken is told apart, and leaves nothing."""
    bench.cdn.faults[PNG] = status(code)
    answer = bench.fetch()
    assert (answer.outcome, bench.parts()) == (outcome, [])
    assert str(code) in answer.reason
    assert not (bench.folder / "media" / PNG).exists()


@pytest.mark.parametrize(("said", "wait_s"), [("17", 17.0), ("99999", 3600.0), ("soon", None)])
def test_a_busy_store_says_for_how_long(bench: Bench, said: str, wait_s: float | None) -> None:
    """Retry-After of a 429 or 503 is read, and limited to an hour."""
    for code in (429, 503):
        bench.cdn.faults[PNG] = status(code, Retry_After=said)
        answer = bench.fetch()
        assert (answer.outcome, answer.wait_s) == (Outcome.BUSY, wait_s)


def test_a_cut_file_is_continued(bench: Bench) -> None:
    """The rest of a file that was cut off is asked for by its ETag, and the whole has the right hash."""
    bench.cdn.faults[PNG] = once(cut_after(300_000))
    first = bench.fetch(size_bytes=len(CONTENT))
    assert (first.outcome, bench.parts()) == (Outcome.FAILED, ["one.part"])
    assert first.etag
    second = bench.fetch(size_bytes=len(CONTENT), etag=first.etag)
    assert (second.outcome, second.sha256) == (Outcome.FETCHED, hashlib.sha256(CONTENT).hexdigest())
    assert second.received_bytes == len(CONTENT) - first.received_bytes
    assert (bench.folder / "media" / PNG).read_bytes() == CONTENT


def test_other_bytes_are_not_added(bench: Bench) -> None:
    """A file that has changed since it was cut off is fetched again from its beginning."""
    bench.cdn.faults[PNG] = once(cut_after(300_000))
    first = bench.fetch(size_bytes=len(CONTENT))
    bench.cdn.files[PNG] = CONTENT[::-1]
    second = bench.fetch(size_bytes=len(CONTENT), etag=first.etag)
    assert (second.outcome, second.received_bytes) == (Outcome.FETCHED, len(CONTENT))
    assert (bench.folder / "media" / PNG).read_bytes() == CONTENT[::-1]


def test_a_file_of_another_size_is_not_taken(bench: Bench) -> None:
    """A length that the database does not know is refused before its bytes come; so is one that goes on and on."""
    answer = bench.fetch(size_bytes=len(CONTENT) - 1)
    assert (answer.outcome, answer.received_bytes) == (Outcome.UNFIT, 0)
    assert f"{len(CONTENT)} bytes" in answer.reason

    def endless(handler: object) -> bool:
        send = handler.wfile.write  # type: ignore[attr-defined]
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Transfer-Encoding", "chunked")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        try:
            while True:
                send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        except OSError:
            return True

    bench.cdn.faults[PNG] = endless
    answer = bench.fetch(size_bytes=len(CONTENT))
    assert (answer.outcome, bench.parts()) == (Outcome.UNFIT, [])
    assert answer.received_bytes < 2 * len(CONTENT)


def test_an_error_page_is_no_picture(bench: Bench) -> None:
    """A page that is served with status 200 in a picture's place is not taken; a store that knows no types is."""
    for kind, outcome in (
        ("text/html; charset=utf-8", Outcome.UNFIT),
        ("application/xml", Outcome.UNFIT),
        ("video/mp4", Outcome.UNFIT),
        ("image/webp", Outcome.FETCHED),
        ("binary/octet-stream", Outcome.FETCHED),
    ):
        bench.cdn.faults[PNG] = served_as(kind)
        assert bench.fetch().outcome is outcome
    bench.cdn.files[PNG], bench.cdn.faults = b"", {}
    assert bench.fetch().outcome is Outcome.UNFIT


def test_redirects_are_followed_a_little(bench: Bench) -> None:
    """Five redirects lead to the file, and a circle of them is left."""
    base = bench.cdn.url
    for number in range(5):
        bench.cdn.faults[f"{number}.png"] = redirect(f"{base}/{number + 1}.png")
    bench.cdn.files["5.png"] = CONTENT
    assert bench.fetch("0.png").outcome is Outcome.FETCHED
    bench.cdn.faults["5.png"] = redirect(f"{base}/0.png")
    bench.cdn.asked.clear()
    assert bench.fetch("0.png").outcome is Outcome.REFUSED
    assert len(bench.cdn.asked) == 6


@pytest.mark.parametrize(
    "target",
    ["ftp://files.example/x", "file:///etc/passwd", "http://user:word@127.0.0.1/x", "http://", "gopher://x", "//"],
)
def test_redirects_elsewhere_are_refused(bench: Bench, target: str) -> None:
    """A redirect to another protocol, or with credentials, is not followed."""
    bench.cdn.faults[PNG] = redirect(target)
    assert bench.fetch().outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "number", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"]
)
def test_private_numbers_are_not_connected_to(bench: Bench, number: str) -> None:
    """Whatever name leads there, no connection is opened into a private network."""
    numbers = {"127.0.0.1": [number]}
    fetching = bench.fetching(allows_private=False, numbers=numbers)
    answer = fetching.fetch(Wanted(PNG, None, "one.part"))
    fetching.close()
    assert (answer.outcome, bench.cdn.asked) == (Outcome.REFUSED, [])
    assert number in answer.reason


def test_a_redirect_into_a_private_network_is_not_followed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number that a redirect's name means is checked like the first one, and the name is looked up once."""
    monkeypatch.setattr("permafrost.media_store.connecting.is_public", lambda number: number == "127.0.0.1")
    bench.cdn.faults[PNG] = redirect("http://metadata.example/latest")
    fetching = bench.fetching(allows_private=False, numbers={"metadata.example": ["169.254.169.254", "127.0.0.1"]})
    answer = fetching.fetch(Wanted(PNG, None, "one.part"))
    fetching.close()
    assert (answer.outcome, bench.cdn.asked) == (Outcome.REFUSED, [PNG])
    assert "169.254.169.254" in answer.reason
    assert bench.lookups == ["127.0.0.1", "metadata.example"]


def test_what_is_under_way_ends(bench: Bench) -> None:
    """A fetch that is stopped says so, and what it has can be continued."""

    def stops(_handler: object) -> bool:
        bench.stopped.set()
        return False

    bench.cdn.faults[PNG] = stops
    answer = bench.fetch(size_bytes=len(CONTENT))
    assert answer.outcome is Outcome.STOPPED
    assert not (bench.folder / "media" / PNG).exists()


def test_a_folder_in_the_way_is_no_loss_of_others(bench: Bench) -> None:
    """A link on the way to a file's place is not followed, and the answer says so."""
    outside = bench.folder / "outside"
    outside.mkdir()
    (bench.folder / "media/accounts").symlink_to(outside)
    answer = bench.fetch()
    assert answer.outcome is Outcome.UNFIT
    assert list(outside.iterdir()) == []
