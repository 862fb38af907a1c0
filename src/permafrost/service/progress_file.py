"""Writes down how far the job under way is, for status and page; at most once a second, but each step at once."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from permafrost.events import Event, Progress, StepStarted
from permafrost.status.progress import PROGRESS_FILE, RunningJob

EVERY_S = 1.0


@dataclass(slots=True)
class ProgressFile:
    """The file in the state folder. A disk that cannot be written stops no job: then nothing is shown."""

    state: Path
    _job: RunningJob | None = None
    _next: float = field(default=float("-inf"))

    def begin(self, job: str, started_at: datetime) -> None:
        """A job has begun."""
        self._job = RunningJob(job=job, started_at=started_at, written_at=started_at, service_pid=os.getpid())
        self._write()

    def saw(self, event: Event) -> None:
        """The job has reported an event."""
        if self._job is None:
            return
        if isinstance(event, StepStarted):
            step = f"step {event.number} of {event.total}: {event.title}"
            self._job = self._job.model_copy(update={"step": step, "done": None, "total": None, "unit": ""})
            self._write()
        elif isinstance(event, Progress):
            self._job = self._job.model_copy(update={"done": event.done, "total": event.total, "unit": event.unit})
            if time.monotonic() >= self._next:
                self._write()

    def end(self) -> None:
        """No job is under way."""
        self._job = None
        with suppress(OSError):
            (self.state / PROGRESS_FILE).unlink(missing_ok=True)

    def _write(self) -> None:
        if self._job is None:
            return
        self._next = time.monotonic() + EVERY_S
        written = self._job.model_copy(update={"written_at": datetime.now(UTC)})
        temporary = self.state / f"{PROGRESS_FILE}.tmp"
        with suppress(OSError):
            temporary.write_text(written.model_dump_json() + "\n", encoding="utf-8")
            temporary.replace(self.state / PROGRESS_FILE)
