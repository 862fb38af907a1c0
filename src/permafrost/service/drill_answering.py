"""The other end of a request for a drill: the socket that systemd passes, and who asks by it.

Rules kept here:

1. The connection is taken before anything else that can fail, or systemd would start the unit for it again and again.
2. Who asks sends one line. Its end of the connection is then its sign of life: once that closes, this process is ended
   as by SIGTERM, and if it does not clean up in time as by SIGKILL, which makes systemd end all of the unit.
3. Events that nobody takes any more stop nothing; the end of the connection does.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from permafrost.errors import ToolError, UsageError
from permafrost.events import Event, encode_event
from permafrost.service.drill_messages import DrillAsked, DrillEnded, decode_asked

_FIRST_PASSED = 3  # sd_listen_fds(3), SD_LISTEN_FDS_START
_ASKED_WITHIN_S = 20.0
_PATIENCE_S = 10.0
_REQUEST_BYTES = 65536


class Asker:
    """Who has asked for a drill; `request` says of what."""

    def __init__(self, connection: socket.socket, request: DrillAsked) -> None:
        self.request = request
        self._connection = connection
        self._lock = threading.Lock()
        self._has_ended = threading.Event()

    def report(self, event: Event) -> None:
        """Send an event; a `Reporter`, from any thread."""
        self._send(encode_event(event).encode() + b"\n")

    def end(self, ended: DrillEnded) -> None:
        """Send how the drill ended; from now on the asker may go."""
        self._has_ended.set()
        self._send(ended.encoded())

    def watch(self) -> None:
        """End this process once the asker has gone before the drill has ended."""
        with suppress(OSError):
            self._connection.recv(1)
        if self._has_ended.is_set():
            return
        signal.pthread_kill(int(threading.main_thread().ident or 0), signal.SIGTERM)
        if not self._has_ended.wait(_PATIENCE_S):
            os.kill(os.getpid(), signal.SIGKILL)

    def _send(self, line: bytes) -> None:
        with self._lock, suppress(OSError):
            self._connection.sendall(line)


@contextmanager
def asked(environment: Mapping[str, str]) -> Iterator[Asker]:
    """Yield who has asked for a drill, by the socket that `environment` says was passed to this process.

    Raise `UsageError` if none was passed, `ToolError` if nobody asks.
    """
    with _passed(environment) as listener:
        connection, request = _request(listener)
    with connection:
        asker = Asker(connection, request)
        threading.Thread(target=asker.watch, daemon=True).start()
        yield asker


def _passed(environment: Mapping[str, str]) -> socket.socket:
    if environment.get("LISTEN_PID") != str(os.getpid()) or environment.get("LISTEN_FDS") != "1":
        raise UsageError(
            "no socket was passed to this process, as permafrost-drill.socket does",
            hint="to run a drill now: permafrost drill",
            unchanged="everything; no drill was run",
        )
    listener = socket.socket(fileno=_FIRST_PASSED)
    listener.set_inheritable(False)
    return listener


def _request(listener: socket.socket) -> tuple[socket.socket, DrillAsked]:
    listener.settimeout(_ASKED_WITHIN_S)
    with suppress(OSError):
        connection, _ = listener.accept()
        connection.settimeout(_ASKED_WITHIN_S)
        with connection.makefile("rb") as lines:
            request = decode_asked(lines.readline(_REQUEST_BYTES))
        if request is not None:
            connection.settimeout(None)
            return connection, request
        connection.close()
    raise ToolError(
        "nobody asks for a drill: the service went before it had asked, or it is of another version",
        hint="systemctl restart permafrost.service; to run a drill now: permafrost drill",
        unchanged="everything; no drill was run",
    )
