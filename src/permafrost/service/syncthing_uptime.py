"""Keeps Syncthing up for a service, and if that fails, tries again later, while the rest of the service continues."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from permafrost.config.models import Syncthing
from permafrost.errors import PermafrostError, ReplicationError
from permafrost.events import Note, Reporter, Warned
from permafrost.syncthing.access import foreign_client
from permafrost.syncthing.client import Client
from permafrost.syncthing.instance import Instance
from permafrost.syncthing.supervisor import Supervisor

AGAIN_S = 300.0
FOREIGN_LOOK_S = 30.0


class SyncthingUptime:
    """Syncthing, managed or foreign. `prepare` is called with a client whenever it has come up.

    To be closed, also after a signal; a managed Syncthing ends then, unless another process uses it.
    """

    def __init__(
        self, settings: Syncthing, device_name: str, prepare: Callable[[Client], None], report: Reporter
    ) -> None:
        self._settings = settings
        self._device_name = device_name
        self._prepare = prepare
        self._report = report
        self._stack = ExitStack()
        self._supervisor: Supervisor | None = None
        self._client: Client | None = None
        self._look_at = 0.0

    @property
    def client(self) -> Client | None:
        """A client of Syncthing while it is up, as far as is known."""
        return self._client

    def turn(self, wait_s: float) -> None:
        """Let `wait_s` pass, and report what has happened to Syncthing; start it, or look for it, if that is due."""
        try:
            if self._supervisor is not None:
                self._supervisor.wait(wait_s)
                return
            if time.monotonic() >= self._look_at:
                self._look()
        except PermafrostError as error:
            self._give_up(error)
        if wait_s:
            time.sleep(wait_s)  # a signal ends it by its exception

    def close(self) -> None:
        """Let go of Syncthing."""
        self._client = self._supervisor = None
        self._stack.close()

    def _look(self) -> None:
        if not self._settings.managed:
            self._look_at = time.monotonic() + FOREIGN_LOOK_S
            self._look_at_foreign()
            return
        instance = Instance(self._settings, self._device_name)
        self._supervisor = self._stack.enter_context(Supervisor(instance, self._report))
        client = self._stack.enter_context(instance.client())
        self._prepare(client)
        self._client = client
        self._report(Note(f"Syncthing is up at {self._settings.gui}"))

    def _look_at_foreign(self) -> None:
        if self._client is not None:
            if not self._client.is_answering():
                raise ReplicationError(f"no Syncthing answers at {self._settings.url}; nothing is sent meanwhile")
            return
        client = self._stack.enter_context(foreign_client(self._settings))
        if not client.is_answering():
            raise ReplicationError(f"no Syncthing answers at {self._settings.url}; nothing is sent meanwhile")
        self._prepare(client)
        self._client = client
        self._report(Note(f"Syncthing is up at {self._settings.url}"))

    def _give_up(self, error: PermafrostError) -> None:
        self.close()
        again_s = AGAIN_S if self._settings.managed else FOREIGN_LOOK_S
        self._look_at = time.monotonic() + again_s
        hint = f" ({error.hint})" if error.hint else ""
        self._report(Warned(f"{error.message}{hint}; trying again in {again_s:.0f} s"))
