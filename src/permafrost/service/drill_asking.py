"""Has a drill run by permafrost-drill.service, and follows it as if it ran here (docs/decisions/0094)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.documents.restore import DrillDocument
from permafrost.errors import ToolError
from permafrost.events import Reporter, decode_event
from permafrost.service.drill_messages import MOST_BYTES, DrillAsked, decode_ended

_END_S = 5.0
"""For how long a drill that is given up may take to end; less than the service waits for its jobs."""
_HINT = "journalctl --unit=permafrost-drill.service says more"


def drill_by_unit(place: Path, configuration: Configuration, report: Reporter) -> tuple[DrillDocument, tuple[str, ...]]:
    """Ask for a drill by the socket `place`, report its events, and return its document and what a person reads of it.

    Raise what the drill raises, `ToolError` if nobody answers or the unit ends without a result. Whatever ends this
    ends the drill: the unit notices that the connection has been closed.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(place))
            connection.sendall(DrillAsked.of(configuration).encoded())
        except OSError as error:
            message = f"permafrost-drill.service cannot be asked for a drill: {place}: {error.strerror}"
            hint = "systemctl start permafrost-drill.socket; to run a drill now: permafrost drill"
            raise ToolError(message, hint=hint, unchanged="everything; no drill was run") from error
        try:
            return _followed(connection, report)
        finally:
            _wait_for_its_end(connection)


def _followed(connection: socket.socket, report: Reporter) -> tuple[DrillDocument, tuple[str, ...]]:
    for line in _lines(connection):
        if (event := decode_event(line.decode("utf-8", "replace"))) is not None:
            report(event)
        elif (ended := decode_ended(line)) is not None:
            return ended.result()
    raise ToolError("permafrost-drill.service ended without a result", hint=_HINT)


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """Yield what the unit sends, until it closes the connection or is killed."""
    with suppress(ConnectionError), connection.makefile("rb") as lines:
        while line := lines.readline(MOST_BYTES):
            yield line


def _wait_for_its_end(connection: socket.socket) -> None:
    """Return when the drill has ended, so that nothing that is run next meets it; or after `_END_S`."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(_END_S)
        while connection.recv(65536):
            pass
