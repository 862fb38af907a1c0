"""The most memory that was resident in a process, by the kernel's own high-water mark."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Event, Thread

_POLL_S = 0.02


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
                found = re.search(r"^VmHWM:\s+(\d+) kB$", self._status.read_text(), re.MULTILINE)
            except OSError:
                return
            if found:
                self.peak_bytes = max(self.peak_bytes, int(found[1]) * 1024)
