"""What a vault does all the time: takes arrivals into its history, by its own rules, and reports what it finds.

`permafrost vault run` calls `Keeper.turn` again and again. A turn does a bounded piece of work for each server, and
may be cut off anywhere, by a signal or by the power: what counts is what is on the disk, and the next turn, or the
next start, continues from there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from permafrost.events import Reporter
from permafrost.syncthing.client import Client
from permafrost.vault.clock import Moment, read_moment
from permafrost.vault.settings import Vault
from permafrost.vault_keeping.server_turn import LOOK_S, Publish, ServerKeeper


class Keeper:
    """Keeps the history of all servers of a vault. Use as a context manager; one at a time for a vault."""

    def __init__(
        self,
        vault: Vault,
        client: Client | None,
        report: Reporter,
        *,
        moment: Callable[[], Moment] = read_moment,
        publish: Publish | None = None,
    ) -> None:
        """`publish` is called with what can be said of a server whenever that has changed, and once an hour."""
        self._vault = vault
        self._moment = moment
        self._stack = ExitStack()
        self.servers = tuple(ServerKeeper(vault, server, client, report, publish) for server in vault.settings.servers)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def turn(self) -> float:
        """Do the work that there is, for some seconds; return after how many seconds to call again, 0 for at once."""
        waits = [server.turn(self._moment()) for server in self.servers]
        return min(waits, default=LOOK_S)
