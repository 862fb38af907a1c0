"""Processor time by program: which of the programs that a command starts takes how much of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread

from bench.server_cpu import children

_POLL_S = 0.02
_NOT_COUNTED = ("postgres",)
_UTIME, _STIME, _START = 11, 12, 19  # in /proc/PID/stat, counted after the program's name


class CpuByProgram:
    """Follows all descendants of a process, PostgreSQL's servers apart, and adds up their processor time by name.

    What a program does between the last look at it and its end is missed: 10 ms on average for each that was started.
    What descendants did before they were followed is not counted.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: dict[tuple[int, str], tuple[str, int]] = {}
        self._look()
        self._before = {process: ticks for process, (_, ticks) in self._seen.items()}
        self._is_over = Event()
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> Mapping[str, float]:
        """Stop following; return seconds by name of the program, user and system time together."""
        self._is_over.set()
        self._thread.join()
        seconds: dict[str, float] = defaultdict(float)
        for process, (name, ticks) in self._seen.items():
            seconds[name] += (ticks - self._before.get(process, 0)) / os.sysconf("SC_CLK_TCK")
        return {name: taken for name, taken in seconds.items() if taken}

    def _follow(self) -> None:
        while not self._is_over.wait(_POLL_S):
            self._look()

    def _look(self) -> None:
        family = children()
        waiting = list(family.get(self._pid, ()))
        while waiting:
            pid = waiting.pop()
            try:
                head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
            except OSError:
                continue  # it has ended meanwhile
            name, fields = head.partition("(")[2], tail.split()
            if name not in _NOT_COUNTED:
                self._seen[pid, fields[_START]] = (name, int(fields[_UTIME]) + int(fields[_STIME]))
                waiting += family.get(pid, ())
