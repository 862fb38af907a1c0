"""Notifies the service manager that started a service: sd_notify(3), a datagram to a Unix socket.

Without a service manager ($NOTIFY_SOCKET is not set) nothing is sent.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress


class ServiceManager:
    """The service manager, as its $NOTIFY_SOCKET. A message that it does not take is dropped: nothing hangs on it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._status = ""

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """What it does now, for `systemctl status`; sent when it has changed."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text.splitlines()[0] if text else ''}")

    def alive(self) -> None:
        """It works: to be called only where something has really got on, or has nothing to do."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """It is about to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(message.encode(), address)


def without_service_manager(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what is meant for the service alone, and not for programs that it starts."""
    own = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "INVOCATION_ID")
    return {name: value for name, value in environment.items() if name not in own}
