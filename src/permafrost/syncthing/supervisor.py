"""Keeps the managed Syncthing up: restarts it when it dies or hangs, and gives up loudly if that does not help.

The watching is done by a thread, so that the main thread may be doing a backup, and so that a signal, which Python
raises in the main thread, cannot cut a start in half. What the thread has to tell waits in a queue until the main
thread asks for it.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from permafrost.errors import PermafrostError, ReplicationError
from permafrost.events import Event, Reporter, Warned
from permafrost.syncthing.instance import Instance, StoppedError


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When to try again, and when to stop trying.

    After n deaths in a row, `first_s` doubled n-1 times is waited, `longest_s` at most; after `attempts` it is
    over. Having run for `settled_s`, the instance has no death behind it any more.
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    attempts: int = 8
    settled_s: float = 300.0

    def delay_s(self, deaths: int) -> float | None:
        """Return how long to wait after `deaths` deaths in a row, or None to give up."""
        if deaths >= self.attempts:
            return None
        return min(self.longest_s, self.first_s * 2.0 ** max(0, deaths - 1))


class Supervisor:
    """Within its `with` block the instance runs; after it, it does not, unless somebody else uses it."""

    def __init__(
        self,
        instance: Instance,
        report: Reporter,
        policy: RestartPolicy | None = None,
        *,
        look_s: float = 1.0,
        hung_after_s: float = 60.0,
    ) -> None:
        self._instance = instance
        self._report = report
        self._policy = policy or RestartPolicy()
        self._look_s = look_s
        self._hung_after_s = hung_after_s
        self._thread = threading.Thread(target=self._watch, name="syncthing-supervisor", daemon=True)
        self._told: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stop = instance.stop_requested
        self._over = threading.Event()
        self._failure: PermafrostError | None = None
        self.restarts = 0

    def __enter__(self) -> Self:
        self._instance.acquire()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._instance.release()

    def wait(self, timeout_s: float) -> None:
        """Let `timeout_s` pass, and report what happened meanwhile; raise `ReplicationError` if it is given up."""
        self._over.wait(timeout_s)
        while not self._told.empty():
            self._report(self._told.get())
        if self._failure is not None:
            raise self._failure

    def _watch(self) -> None:
        try:
            self._keep_up()
        except StoppedError:
            pass
        except PermafrostError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - carried to wait(), where the caller is
            self._failure = ReplicationError(f"watching Syncthing failed: {error!r}")
        self._over.set()

    def _keep_up(self) -> None:
        deaths = 0
        while True:
            since = time.monotonic()
            reason = self._wait_for_trouble()
            if reason is None:
                return
            deaths = 1 if time.monotonic() - since > self._policy.settled_s else deaths + 1
            while True:
                self._wait_before_attempt(deaths, reason)
                try:
                    self._instance.mend()
                except StoppedError:
                    raise
                except PermafrostError as error:
                    deaths += 1
                    reason = error.message
                else:
                    self.restarts += 1
                    break

    def _wait_before_attempt(self, deaths: int, reason: str) -> None:
        delay_s = self._policy.delay_s(deaths)
        if delay_s is None:
            raise ReplicationError(
                f"giving up on Syncthing after {deaths} failures in a row: {reason}",
                unchanged="the repository; it only cannot reach the vaults",
                hint="fix what its log reports, and start permafrost run again",
            )
        self._told.put(Warned(f"{reason}; restarting it in {delay_s:.0f} s"))
        if self._stop.wait(delay_s):
            raise StoppedError("waiting for Syncthing was cancelled")

    def _wait_for_trouble(self) -> str | None:
        """Return what happened to the instance once something has, or None when the watch is called off."""
        answered = time.monotonic()
        while not self._stop.wait(self._look_s):
            if not self._instance.is_alive():
                return "Syncthing died"
            if self._instance.is_answering():
                answered = time.monotonic()
            elif time.monotonic() - answered > self._hung_after_s:
                return f"Syncthing has not answered for {self._hung_after_s:.0f} s"
        return None
