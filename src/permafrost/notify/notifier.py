"""Hands looks and pings on to the receivers, each of which has a thread: a service never waits for any of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from permafrost.config.alerting import Notify
from permafrost.events import Reporter
from permafrost.notify.alert import Look, Ping
from permafrost.notify.receiver import Receiver

CLOSE_S = 3.0
"""How long the end of a service waits for what is on its way."""


class Notifier:
    """The receivers of a server, or of a vault, which is called `where` in messages. Nothing here blocks or raises."""

    def __init__(
        self, receivers: Iterable[Notify], where: str, state: Path, report: Reporter, *, on_a_vault: bool = False
    ) -> None:
        self._runners = [
            _Runner(Receiver(settings, where, state, report, on_a_vault=on_a_vault)) for settings in receivers
        ]

    def saw(self, look: Look) -> None:
        """Take the newest look."""
        for runner in self._runners:
            runner.receiver.saw(look)
            runner.wake()

    def ping(self, ping: Ping) -> None:
        """Take what happened to a job."""
        for runner in self._runners:
            runner.receiver.ping(ping)
            runner.wake()

    def close(self) -> None:
        """End the threads; what has not been sent after `CLOSE_S` is sent after the next start."""
        deadline = time.monotonic() + CLOSE_S
        for runner in self._runners:
            runner.ask_to_end()
        for runner in self._runners:
            runner.wait(max(0.0, deadline - time.monotonic()))


class _Runner:
    """The thread of a receiver. It ends with the process, whatever it is waiting for."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self._woken = Event()
        self._is_ending = False
        self._thread = Thread(target=self._run, name=f"receiver {receiver.settings.name}", daemon=True)
        with suppress(RuntimeError):  # no thread to be had: nothing is sent, and the service goes on
            self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def ask_to_end(self) -> None:
        self._is_ending = True
        self._woken.set()

    def wait(self, timeout_s: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._woken.clear()
            wait_s = self.receiver.turn(datetime.now(UTC))
            if wait_s > 0 and self._is_ending:
                return
            self._woken.wait(wait_s)
