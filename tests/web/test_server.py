"""The page served: who may ask what, and what is answered."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from permafrost.errors import ConfigurationError
from permafrost.web.server import Answer, Served, Site
from tests.fixtures.server import free_port

PAGE = Answer("text/html; charset=utf-8", b"<h1>page</h1>", "default-src 'none'; style-src 'self'")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A site with one page on a loopback port."""
    site = Site()
    site.show({"/": PAGE})
    running = Served(f"127.0.0.1:{free_port()}", site)
    yield running
    running.close()


def ask(served: Served, method: str, path: str, **headers: str) -> httpx.Response:
    """Ask the site."""
    return httpx.request(method, served.address.rstrip("/") + path, headers=headers, trust_env=False)


def test_what_is_answered(served: Served) -> None:
    """The page comes with its policy and the headers that keep others from using it; HEAD comes without a body."""
    answer = ask(served, "GET", "/")
    assert (answer.status_code, answer.content) == (200, PAGE.body)
    assert answer.headers["content-security-policy"] == PAGE.policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "server" not in answer.headers
    assert ask(served, "HEAD", "/").content == b""
    assert ask(served, "GET", "/healthz").text == "ok\n"


@pytest.mark.parametrize("path", ["/nothing", "/../etc/passwd", "/index.html", "//", "/%2e%2e/"])
def test_other_paths(served: Served, path: str) -> None:
    """Only what was published has an answer."""
    assert ask(served, "GET", path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_can_be_changed(served: Served, method: str) -> None:
    """Other methods are refused."""
    assert ask(served, method, "/").status_code == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
def test_strangers_names(served: Served, host: str) -> None:
    """A page elsewhere cannot read this one by giving its own name this machine's address."""
    answer = ask(served, "GET", "/", host=host)
    assert answer.status_code in (400, 421)
    assert b"page" not in answer.content


def test_nothing_published_yet() -> None:
    """Before the first page, and when the last is old, /healthz says so."""
    running = Served(f"127.0.0.1:{free_port()}", Site())
    try:
        assert ask(running, "GET", "/healthz").status_code == 503
        assert ask(running, "GET", "/").status_code == 404
    finally:
        running.close()


def test_a_socket(tmp_path: Path) -> None:
    """A Unix socket is for its group, replaces one that was left behind, and is gone at the end; any Host may ask."""
    path = tmp_path / "page.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    site = Site()
    site.show({"/": PAGE})
    running = Served(str(path), site)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://status.example/").content == PAGE.body
        with pytest.raises(ConfigurationError, match="cannot be served"):
            Served(str(path), Site())
    finally:
        running.close()
    assert not path.exists()


def test_another_file_in_the_sockets_place(tmp_path: Path) -> None:
    """What is no socket is not removed."""
    path = tmp_path / "page.sock"
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="cannot be served"):
        Served(str(path), Site())
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]
