"""Processor time of a server: of its first process, of those that it has reaped, and of those that live.

Each session of a PostgreSQL server is a child of its first process, which waits for it; so the time of sessions that
have ended is in that process's cutime and cstime (proc(5)), and that of archive_command in those of the archiver.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_TRIES = 10
_PARENT, _UTIME, _STIME, _CUTIME, _CSTIME = 1, 11, 12, 13, 14  # in /proc/PID/stat, counted after the program's name


def cpu_of_server_s(pid: int | None) -> float:
    """Return user and system time of the server whose first process has this id, so far; 0 if there is none."""
    if pid is None:
        return 0.0
    sessions = set(children()[pid])
    for _ in range(_TRIES):  # one that ends just now might be counted twice, or not at all
        found = _cpu_s((pid, *sessions))
        before, sessions = sessions, set(children()[pid])
        if sessions == before:
            break
    return found


def cpu_of_tree_s(pid: int, without: int | None = None) -> float:
    """Return user and system time of a process, of its descendants, and of those that they have waited for, so far.

    The process `without` and its descendants do not count.
    """
    family = children()
    found, looked_at = [], [pid]
    while looked_at:
        one = looked_at.pop()
        if one != without:
            found.append(one)
            looked_at.extend(family.get(one, ()))
    return _cpu_s(found)


def _cpu_s(pids: Iterable[int]) -> float:
    places = (_UTIME, _STIME, _CUTIME, _CSTIME)
    ticks = (int(fields[place]) for one in pids if (fields := _stat(one)) for place in places)
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def children() -> Mapping[int, Sequence[int]]:
    """Return the live children of every process."""
    found: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found[int(fields[_PARENT])].append(int(entry.name))
    return found


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it ended meanwhile, and its time is in its parent's from now on
