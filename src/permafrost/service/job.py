"""The service's jobs: each is a command of permafrost's, as a process of its own (docs/decisions/0028).

So a job that crashes, hangs or eats memory takes nothing with it, and the service stays able to look after Syncthing
and to end the job. What a job has to tell comes as the JSON lines that every command writes with --json.
"""

from __future__ import annotations

import json
import os
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from permafrost.errors import EXIT_DONE, EXIT_FINDINGS, LockedError
from permafrost.events import Event, JobEnded, Outcome, StepStarted, decode_event
from permafrost.processes.attended import Attended
from permafrost.processes.program import Program
from permafrost.service.own_command import own_command
from permafrost.service.sd_notify import without_service_manager

PATIENCE_S = 6.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended; `document` is what it printed, `error` and `hint` are empty if it was done."""

    exit_code: int
    document: Mapping[str, Any]
    error: str = ""
    hint: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it was done, with or without findings."""
        return self.exit_code in (EXIT_DONE, EXIT_FINDINGS)

    @property
    def is_locked_out(self) -> bool:
        """Whether another run held the repository, and it did nothing."""
        return self.exit_code == LockedError.exit_code

    @property
    def why(self) -> str:
        """The error, with the hint if there is one."""
        return f"{self.error}; hint: {self.hint}" if self.hint else self.error

    def told(self, job: Job, outcome: Outcome, message: str) -> JobEnded:
        """Return the event that tells of this end, with `message` for whoever reads it."""
        snapshot, bytes_new = self.document.get("snapshot"), self.document.get("bytes_new")
        return JobEnded(
            message,
            job.name,
            outcome,
            self.exit_code,
            round(job.took_s, 1),
            snapshot if isinstance(snapshot, str) else None,
            bytes_new if isinstance(bytes_new, int) else None,
        )


class Job:
    """A command under way; a vault's has no configuration file. Nobody waits: ask `ended()` from time to time.

    `options` are added to the command, and are not part of its name.
    """

    def __init__(
        self,
        words: tuple[str, ...],
        config_file: Path | None,
        started_at: datetime,
        options: tuple[str, ...] = (),
    ) -> None:
        self.words = words
        self.started_at = started_at
        self.step = ""
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._began_at = self._moved_at = time.monotonic()
        self._ended_at: float | None = None
        self._hung_after_s: float | None = None
        where = ("--config", str(config_file)) if config_file is not None else ()
        argv = (*own_command(), *words, *options, "--json", *where)
        self._program = Attended(Program(argv, without_service_manager(os.environ)), self._lines.put)

    @property
    def name(self) -> str:
        """The command as one would type it."""
        return " ".join(self.words)

    @property
    def took_s(self) -> float:
        """For how many seconds it has run, or ran if `ended` has seen its end; whatever was done to the clock."""
        return (time.monotonic() if self._ended_at is None else self._ended_at) - self._began_at

    @property
    def silent_s(self) -> float:
        """For how long it has produced no output, as of the last call of `events`."""
        return time.monotonic() - self._moved_at

    def events(self) -> list[Event]:
        """Return what it has reported since the last call; other lines are quoted only if the job fails."""
        events = []
        while not self._lines.empty():
            self._moved_at = time.monotonic()
            event = decode_event(self._lines.get())
            if isinstance(event, StepStarted):
                self.step = f"{event.number}/{event.total} {event.title}"
            if event is not None:
                events.append(event)
        return events

    def ended(self) -> Ended | None:
        """Return how it ended, None while it runs."""
        finished = self._program.finished()
        if finished is None:
            return None
        self._ended_at = self._ended_at or time.monotonic()
        document = _document_of(finished.stdout)
        if finished.returncode in (EXIT_DONE, EXIT_FINDINGS):
            return Ended(finished.returncode, document)
        if self._hung_after_s is not None:
            said = f"produced no output for {self._hung_after_s:.0f} s and was stopped"
            return Ended(finished.returncode, {}, f"{self.name} {said}", "look for what it waits for: a disk, a lock")
        error = document.get("error")
        if not isinstance(error, dict):
            how = f"signal {-finished.returncode}" if finished.returncode < 0 else f"exit code {finished.returncode}"
            last_line = finished.stderr_tail.strip().splitlines()[-1:]
            return Ended(finished.returncode, {}, f"{self.name} ended with {how}: {' '.join(last_line) or 'no word'}")
        where = f" ({error['step']})" if error.get("step") else ""
        return Ended(finished.returncode, {}, f"{error.get('message')}{where}", str(error.get("hint") or ""))

    def end_as_hung(self) -> None:
        """End it, because it has been silent for too long."""
        self._hung_after_s = self.silent_s
        self.end()

    def ask_to_end(self) -> None:
        """Tell it to end, and return at once."""
        self._program.ask_to_end()

    def end(self, patience_s: float = PATIENCE_S) -> None:
        """End it, and every program that it started: asked first, and killed if it has not ended in time."""
        self._program.end(patience_s)


def _document_of(stdout: bytes) -> dict[str, Any]:
    try:
        document = json.loads(stdout)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
