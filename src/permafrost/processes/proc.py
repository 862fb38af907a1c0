"""Which processes are alive, according to /proc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def session_members(session_id: int) -> list[int]:
    """Return the ids of the live processes whose session is `session_id`."""
    return [pid for pid, _, session in _live_processes() if session == session_id]


def descendants(pid: int) -> list[int]:
    """Return the ids of the live processes that `pid` started, and that those started, and so on."""
    children: dict[int, list[int]] = {}
    for child, parent, _ in _live_processes():
        children.setdefault(parent, []).append(child)
    found = list(children.get(pid, ()))
    for process in found:  # it grows meanwhile
        found.extend(children.get(process, ()))
    return found


def _live_processes() -> Iterator[tuple[int, int, int]]:
    """Yield process id, parent and session of each (proc(5), /proc/PID/stat fields 4 and 6)."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        state, parent, session = fields[0], int(fields[1]), int(fields[3])
        if state not in "ZX":
            yield int(folder.name), parent, session
