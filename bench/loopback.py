"""Syncthings that neither look nor are seen beyond loopback, and how many bytes one of them has sent to another."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from bench.programs import BenchError
from permafrost.config.models import Syncthing
from permafrost.syncthing.client import Client

_LOSSES = ("DeviceDisconnected",)


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports on loopback that nobody listens on."""
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return tuple(probe.getsockname()[1] for probe in probes)


def loopback_settings(home: Path) -> Syncthing:
    """Return settings for an instance of its own, on free ports."""
    gui, listen = free_ports(2)
    return Syncthing(
        home=home, gui=f"127.0.0.1:{gui}", listen=(f"tcp://127.0.0.1:{listen}",), discovery=False, managed=True
    )


class Traffic:
    """Counts what leaves for another device, over one connection: Syncthing counts anew for each."""

    def __init__(self, client: Client, device_id: str) -> None:
        self._client = client
        self._device_id = device_id
        self._losses, self._sent_bytes = self._look()

    def sent(self) -> int:
        """Return the bytes that left since this was last asked; raise `BenchError` if the connection is another one."""
        losses, sent_bytes = self._losses, self._sent_bytes
        self._losses, self._sent_bytes = self._look()
        if self._losses != losses or self._sent_bytes < sent_bytes:
            raise BenchError("Syncthing dialled anew meanwhile, so what it had sent before is not known")
        return self._sent_bytes - sent_bytes

    def _look(self) -> tuple[int, int]:
        """Return which loss of a connection was the last one, and what was sent since then."""
        losses = self._client.latest_event(_LOSSES)  # first: a loss after this is seen the next time
        connection = self._client.connections().get(self._device_id)
        if connection is None or not connection.connected:
            raise BenchError("the two Syncthings are not connected, so what was sent is not known")
        return losses, connection.sent_bytes
