"""systemd's journal, where stderr is the journal: the level of a line, and entries with fields to search by.

Sources: sd-daemon(3) for levels, systemd.exec(5) for $JOURNAL_STREAM, and "Native Journal Protocol" of systemd's
documentation for entries with fields.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress

SOCKET = "/run/systemd/journal/socket"
NOTICE, WARNING, ERROR = 5, 4, 3


def is_stderr() -> bool:
    """Return whether stderr is the journal: $JOURNAL_STREAM names device and inode of the journal's socket."""
    with suppress(OSError, ValueError):
        stderr = os.fstat(sys.stderr.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"
    return False


def level(number: int) -> str:
    """Return what makes the journal take a line of stderr for a `WARNING` or an `ERROR`; elsewhere nothing."""
    return f"<{number}>" if is_stderr() else ""


def send(message: str, number: int, fields: Mapping[str, object]) -> bool:
    """Send an entry of this level with `fields`, whose names get the prefix PERMAFROST_; None is left out.

    Return False if stderr is not the journal, or if the journal does not take the entry now: nobody waits for it, and
    the caller has to write the message to stderr.
    """
    if not is_stderr():
        return False
    own = {f"PERMAFROST_{name.upper()}": value for name, value in fields.items() if value is not None}
    entry = {"MESSAGE": message, "PRIORITY": number, "SYSLOG_IDENTIFIER": "permafrost", **own}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(b"".join(_encoded(name, str(value)) for name, value in entry.items()), SOCKET)
    except OSError:
        return False
    return True


def _encoded(name: str, value: str) -> bytes:
    """Return a field with its length: a value, such as another program's error, may have line ends in it."""
    data = value.encode(errors="replace")
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
