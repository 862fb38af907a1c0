"""A job beside the schedule, in a process of its own: it holds no lock of the repository, and never delays a backup.

It is due once an hour, when one of its folders has changed, or as `is_wanted` says. A run that failed is tried again
after a minute, then after twice as long each time, up to half an hour: however long an outage is, afterwards
everything is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.events import Note, Reporter, Warned
from permafrost.service.job import Ended, Job

EVERY_S = 3600.0
AGAIN_S, AGAIN_AT_MOST_S = 60.0, 1800.0
_PATIENCE_S = 1.0
"""A run loses nothing by being killed, and a request that stalls would hold up the end of the service."""


@dataclass(slots=True)
class BackgroundJob:
    """One job: `words` are the command's; what appears in the `folders` or goes makes it due."""

    words: tuple[str, ...]
    begin: Callable[[tuple[str, ...], datetime], Job]
    folders: tuple[Path, ...]
    hung_after_s: float
    report: Reporter
    is_wanted: Callable[[], bool] = lambda: True
    """Whether there is anything to do at all, asked again and again."""
    _job: Job | None = None
    _seen: tuple[int, ...] = ()
    _next_s: float = float("-inf")
    _again_s: float = AGAIN_S
    _is_failing: bool = False
    _problem: str = ""

    def turn(self, now: datetime) -> None:
        """Attend to the run under way, or begin one that is due."""
        if self._job is not None:
            self._attend(self._job)
        elif not self.is_wanted():
            return
        elif time.monotonic() >= self._next_s or (not self._is_failing and self._versions() != self._seen):
            self._seen = self._versions()
            self._job = self.begin(self.words, now)

    def ask_to_end(self) -> None:
        """Tell the run under way to end, and return at once."""
        if self._job is not None:
            self._job.ask_to_end()

    def end(self, patience_s: float = _PATIENCE_S) -> None:
        """End the run under way; the next one resumes it."""
        if self._job is not None:
            self._job.end(patience_s)

    def _attend(self, job: Job) -> None:
        ended = job.ended()
        for event in job.events():
            if isinstance(event, Note | Warned):
                self.report(event)
        if ended is None and job.silent_s > self.hung_after_s:
            job.end_as_hung()
            ended = job.ended()
        if ended is not None:
            self._job = None
            self._settle(job, ended)

    def _settle(self, job: Job, ended: Ended) -> None:
        self._is_failing = not ended.is_done
        if ended.is_done:
            if self._problem:
                self.report(ended.told(job, "done", f"{job.name}: done again"))
            self._problem, self._again_s, self._next_s = "", AGAIN_S, time.monotonic() + EVERY_S
            return
        if ended.error != self._problem:
            self.report(ended.told(job, "failed", f"{job.name} failed, and is tried again: {ended.why}"))
        self._problem, self._next_s = ended.error, time.monotonic() + self._again_s
        self._again_s = min(2 * self._again_s, AGAIN_AT_MOST_S)

    def _versions(self) -> tuple[int, ...]:
        """Return what changes whenever something in a folder appears or goes."""
        found = []
        for folder in self.folders:
            try:
                found.append(folder.stat().st_mtime_ns)
            except OSError:
                found.append(0)
        return tuple(found)
