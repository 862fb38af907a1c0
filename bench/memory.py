"""The most memory that was resident in a process, or in several together, by the kernel's own high-water mark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread

from bench.server_cpu import children

_POLL_S = 0.02
_POLL_OF_ALL_S = 0.2
_NOT_COUNTED = ("Name:\tpostgres\n", "Name:\tsyncthing\n")
_MARK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class PeakMemory:
    """Follows a process until it ends; the mark only grows, so what is missed is its last moments' growth.

    The process's own children do not count (proc(5), VmHWM).
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._status = Path(f"/proc/{pid}/status")
        self._is_over = Event()
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._is_over.wait(_POLL_S):
            try:
                found = _MARK.search(self._status.read_text())
            except OSError:
                return
            if found:
                self.peak_bytes = max(self.peak_bytes, int(found[1]) * 1024)


class PeakOfAll:
    """Follows all descendants of a process, and adds up the marks of those that live at the same time.

    PostgreSQL's servers do not count, nor do the Syncthings that carry what was backed up. Pages that processes share
    are counted in each of them.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._is_over = Event()
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._is_over.wait(_POLL_OF_ALL_S):
            family = children()
            self.peak_bytes = max(self.peak_bytes, sum(_with_descendants(one, family) for one in family[self._pid]))


def _with_descendants(pid: int, family: Mapping[int, Sequence[int]]) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    if status.startswith(_NOT_COUNTED):
        return 0
    found = _MARK.search(status)
    own = int(found[1]) * 1024 if found else 0
    return own + sum(_with_descendants(one, family) for one in family.get(pid, ()))
