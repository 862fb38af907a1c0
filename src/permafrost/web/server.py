"""Serves the views on this machine alone: a loopback port or a Unix socket. Answers GET and HEAD, and nothing else.

uvicorn speaks HTTP; what is answered was rendered before, so a request costs nothing and can start nothing. A browser
on this machine can be made to ask under a name of a stranger's (DNS rebinding), so on a port only names of this machine
are answered; a web server in front keeps that with its default Host header, or uses the socket.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from permafrost.errors import ConfigurationError

_SOCKET_MODE = 0o660
_STOP_S = 3.0
FRESH_S = 300.0
_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path is answered with."""

    content_type: str
    body: bytes
    policy: str = "default-src 'none'"
    status: int = 200


@dataclass(slots=True)
class Site:
    """The answers by path, exchanged as a whole; an ASGI application."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    is_on_socket: bool = False
    _made_at: float | None = None

    def show(self, answers: Mapping[str, Answer]) -> None:
        """Answer with these from now on."""
        self.answers, self._made_at = answers, time.monotonic()

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        """Answer one request."""
        del receive
        if scope["type"] != "http":
            return
        answer = self._answer(scope)
        body = b"" if scope["method"] == "HEAD" else answer.body
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"content-security-policy", answer.policy.encode()),
            *_HEADERS,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, scope: Mapping[str, Any]) -> Answer:
        if not self.is_on_socket and not _is_own_name(scope["headers"]):
            return _text(421, "ask for localhost, or put a web server in front that does\n")
        if scope["method"] not in ("GET", "HEAD"):
            return _text(405, "nothing can be changed here\n")
        if scope["path"] == "/healthz":
            return self._health()
        return self.answers.get(scope["path"]) or _text(404, "no such page\n")

    def _health(self) -> Answer:
        """Return whether the answers are fresh: a service that hangs still answers, with what it made last."""
        is_fresh = self._made_at is not None and time.monotonic() - self._made_at < FRESH_S
        return _text(200, "ok\n") if is_fresh else _text(503, "the page is old\n")


def _text(status: int, text: str) -> Answer:
    return Answer("text/plain; charset=utf-8", text.encode(), status=status)


def _is_own_name(headers: list[tuple[bytes, bytes]]) -> bool:
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    return len(hosts) == 1 and (hosts[0] in _HOSTS or hosts[0].rpartition(":")[0] in _HOSTS)


class Served:
    """A site that is being served, in a thread of its own, until `close`."""

    def __init__(self, listen: str, site: Site) -> None:
        """Listen at `listen`, host:port or a socket's path; raise `ConfigurationError` if that cannot be had."""
        self._path = Path(listen) if listen.startswith("/") else None
        site.is_on_socket = self._path is not None
        self._listener = _listener(listen, self._path)
        config = uvicorn.Config(
            site,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=64,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        if self._path is not None:
            return str(self._path)
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def close(self) -> None:
        """Stop listening, and remove the socket's file."""
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        self._listener.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _listener(listen: str, path: Path | None) -> socket.socket:
    try:
        if path is not None:
            return _unix_listener(path)
        host, _, port = listen.rpartition(":")
        name = host.removeprefix("[").removesuffix("]")
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        return socket.create_server((name, int(port)), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"the page cannot be served at {listen}: {error.strerror}", hint="correct [web] listen"
        ) from error


def _unix_listener(path: Path) -> socket.socket:
    """Return a listener on the socket; one that a killed service has left is replaced, and nothing else."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _answers(path):
            path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        before = os.umask(0o777 & ~_SOCKET_MODE)  # a moment with a wider mode would be one too many
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1)
        try:
            asking.connect(str(path))
        except OSError:
            return False
        return True
