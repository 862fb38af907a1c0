"""Every other system beside permafrost's log engine: its first backup, one after each hour, and restores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bench.data import check_equal
from bench.hours import Say, Servers
from bench.measuring import Taken, take
from bench.own_server import RestoresToOwnServer
from bench.pgbackrest import PgBackRest
from bench.results import After, SystemRuns
from permafrost.amounts import bytes_text
from permafrost.postgres.programs.scratch import ScratchCluster


class Alternative(Protocol):
    """A way to back up a database, and to get it back, analysed."""

    stored: Path

    @property
    def name(self) -> str:
        """What it is called in the tables."""

    def backup(self) -> None:
        """Make a backup."""

    def restore(self, target: ScratchCluster) -> str:
        """Restore the newest backup, and return how to connect to the restored database."""

    def server_of_restore(self, target: ScratchCluster) -> int | None:
        """Return the process id of the server that it is restored to, None before there is one."""

    def discard(self, target: ScratchCluster) -> None:
        """Drop what was restored."""


@dataclass(slots=True)
class _Known:
    system: Alternative
    backups: list[Taken] = field(default_factory=list)
    restores: list[Taken] = field(default_factory=list)


class Alternatives:
    """Measures several systems on the same database, one after the other.

    What each has stored is carried before the next begins. With `is_each_restored`, so is every backup after an hour.
    """

    def __init__(
        self,
        servers: Servers,
        systems: Sequence[Alternative],
        say: Say,
        carry: Callable[[str, After], None],
        *,
        is_each_restored: bool = False,
    ) -> None:
        self._servers = servers
        self._known = [_Known(system) for system in systems]
        self._say = say
        self._carry = carry
        self._is_each_restored = is_each_restored

    def settle(self) -> None:
        """Wait until the WAL of what was done is archived, so that no other system is measured meanwhile."""
        for one in self._known:
            if isinstance(one.system, PgBackRest):
                one.system.settle()

    def back_up(self) -> None:
        """Let each make a backup."""
        for one in self._known:
            stored_before = one.backups[-1].stored_bytes if one.backups else 0
            self.settle()
            took = take(one.system.backup, server_pid=lambda: self._servers.source.pid, stored=one.system.stored)
            if isinstance(one.system, PgBackRest):  # the WAL that was archived before has to be sent too
                grown = max(took.sent_bytes, took.stored_bytes - stored_before)
                took = replace(took, sent_bytes=grown)
            one.backups.append(took)
            self._say(
                f"{one.system.name}: {took.wall_s:.1f} s, CPU {took.cpu_s:.1f} s and {took.server_cpu_s:.1f} s of the "
                f"server; {bytes_text(took.sent_bytes)} sent, {bytes_text(took.stored_bytes)} in {took.files} files; "
                f"peak {bytes_text(took.peak_bytes)}"
            )
            self._carry(one.system.name, "hour" if one.backups[1:] else "first")

    def after_an_hour(self) -> None:
        """Let each make a backup, and restore it if that is to be."""
        self.back_up()
        if self._is_each_restored:
            self.restore()

    def restore(self) -> None:
        """Let each restore its newest backup, and compare every row."""
        for one in self._known:
            self._restore(one)

    def _restore(self, one: _Known) -> None:
        target, found = self._servers.target, []
        try:
            took = take(
                lambda: found.append(one.system.restore(target)),
                server_pid=lambda: one.system.server_of_restore(target),
            )
            tables, rows = check_equal(self._servers.conninfo, found[0])
        finally:
            if found or isinstance(one.system, RestoresToOwnServer):
                one.system.discard(target)
        one.restores.append(took)
        self._say(f"restore: {one.system.name}: {took.wall_s:.1f} s, {rows:,} rows in {tables} tables equal")

    def measured(self) -> tuple[SystemRuns, ...]:
        """Return what each took."""
        return tuple(
            SystemRuns(one.system.name, one.backups[0], tuple(one.backups[1:]), tuple(one.restores))
            for one in self._known
        )
