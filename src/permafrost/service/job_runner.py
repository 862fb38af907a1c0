"""Runs what the schedule says, one job at a time, and records and reports the result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError
from permafrost.events import Event, Note, Reporter, Warned
from permafrost.operations.prune import prunable
from permafrost.runs import MISSED, Run, RunRecords
from permafrost.schedule import Calendar, Due, JobName
from permafrost.service.alerts import ServerAlerts
from permafrost.service.drill_unit import DrillUnit
from permafrost.service.job import PATIENCE_S, Ended, Job
from permafrost.service.progress_file import ProgressFile

OVERRUN_COUNTS_FROM = 3
AGAIN_S = 60.0
LOOK_AGAIN_S = 30.0
_WORDS: dict[JobName, tuple[str, ...]] = {
    "backup": ("backup",),
    "audit": ("backup", "--audit"),
    "drill": ("drill", "--audited"),
}
_OPERATIONS: dict[JobName, str] = {"backup": "backup", "audit": "backup", "drill": "drill"}
_PRUNE = ("prune",)


def last_runs(records: RunRecords) -> dict[JobName, Run | None]:
    """Return the last run of each job that came to its own end."""
    return {job: records.newest_settled(name, audited_only=job == "audit") for job, name in _OPERATIONS.items()}


@dataclass(slots=True)
class JobRunner:
    """The jobs of a server. Call `turn` every few seconds, and `end` at the end, also after a signal."""

    configuration: Configuration
    config_file: Path
    calendar: Calendar
    report: Reporter
    started_at: datetime
    alerts: ServerAlerts
    drill_unit: DrillUnit
    _job: Job | None = None
    _name: JobName | None = None
    _last: dict[JobName, Run | None] = field(default_factory=dict)
    _since: datetime | None = None
    _looked_at: float = float("-inf")
    _not_before: float = 0.0
    _is_prune_due: bool = False
    _progress: ProgressFile = field(init=False)

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self._progress = ProgressFile(self.configuration.state.path)
        self._progress.end()

    @property
    def _records(self) -> RunRecords:
        return RunRecords(self.configuration.state.path)

    def turn(self, now: datetime) -> bool:
        """Attend to the job under way, or begin one that is due; return False if it has been silent for too long.

        What fails is reported, and tried again after a minute.
        """
        try:
            return self._turn(now)
        except PermafrostError as error:
            self._not_before = time.monotonic() + AGAIN_S
            self.report(Warned(f"the schedule cannot be followed now: {error.message}"))
            return True

    def _turn(self, now: datetime) -> bool:
        if self._job is not None:
            return self._attend(self._job, now)
        if self._is_prune_due:
            self._is_prune_due = False
            self._begin(_PRUNE, None, now)
            return True
        if time.monotonic() < self._not_before:
            return True
        if self._due(now):
            self._looked_at = float("-inf")  # somebody may have run it by hand since
            due = self._due(now)
            if due:
                self._tell_missed(due[0], now)
                self._begin(_WORDS[due[0].job], due[0].job, now)
        return True

    def status(self, now: datetime) -> str:
        """Return a line on what is under way, or comes next."""
        if self._job is not None:
            return f"{self._job.name}, {self._job.step or 'starting'}"
        coming = self.calendar.next(now)
        zone = next(iter(self.calendar.rhythms.values())).zone if coming else None
        next_text = (
            f"next {coming[1]} {coming[0].astimezone(zone):%Y-%m-%d %H:%M}" if coming else "nothing is scheduled"
        )
        last = self._last.get("backup")
        if last is None:
            return f"{next_text}; no backup yet"
        when = f"{(last.ended_at or last.started_at).astimezone(zone):%Y-%m-%d %H:%M}"
        if last.outcome != "done":
            return f"{next_text}; the last backup, {when}, failed: {last.details.get('error')}"
        return f"{next_text}; last backup {when}, {last.details.get('bytes_new', 0) / 1000:,.0f} kB"

    def ask_to_end(self) -> None:
        """Tell the job under way to end, and return at once."""
        if self._job is not None:
            self._job.ask_to_end()

    def end(self, patience_s: float = PATIENCE_S) -> None:
        """End the job under way; the next start of the service runs it again."""
        if self._job is not None:
            self._job.end(patience_s)
        self._progress.end()

    # --- what is due ---

    def _due(self, now: datetime) -> tuple[Due, ...]:
        if time.monotonic() - self._looked_at > LOOK_AGAIN_S:
            records = self._records
            self._last = last_runs(records)
            self._since = records.oldest_start() or self.started_at
            self._looked_at = time.monotonic()
            self.drill_unit.look(now)
        ended = {job: run.ended_at for job, run in self._last.items() if run is not None}
        return self.calendar.due(now, ended, self._since or self.started_at)

    def _tell_missed(self, due: Due, now: datetime) -> None:
        if due.missed:
            self._record_missed(due.job, due.missed, due.since, now, "nothing ran them")

    def _record_missed(self, job: JobName, count: int, since: datetime, now: datetime, why: str) -> None:
        zone = self.calendar.rhythms[job].zone
        since_text = f"{since.astimezone(zone):%Y-%m-%d %H:%M}"
        message = f"{count} runs of {job} were missed since {since_text}: {why}"
        self.report(Warned(message))
        with self._records.recorded(MISSED, now) as told:
            told.update(job=job, count=count, since=since.isoformat(), message=message)

    # --- the job under way ---

    def _begin(self, words: tuple[str, ...], name: JobName | None, now: datetime) -> None:
        self._name = name
        options = self.drill_unit.options(now) if name == "drill" else ()
        self._job = Job(words, self.config_file, now, options)
        self._progress.begin(self._job.name, now)
        self.alerts.job_began(name or "prune")

    def _attend(self, job: Job, now: datetime) -> bool:
        ended = job.ended()
        for event in job.events():
            self._progress.saw(event)
            self._pass_on(event)
        if ended is None and job.silent_s > self.configuration.schedule.hung_after_s:
            job.end_as_hung()
            ended = job.ended()
        if ended is None:
            return job.silent_s <= self.configuration.schedule.hung_after_s
        self._job = None
        self._progress.end()
        self._looked_at = float("-inf")
        text = _done_text(job, ended) if ended.is_done else f"{job.name} failed: {ended.error}"
        self.alerts.job_ended(self._name or "prune", ended, job.took_s, text)
        self._tell_end(job, ended, now)
        return True

    def _pass_on(self, event: Event) -> None:
        """Steps and progress are for the status line, not for the journal."""
        if isinstance(event, Note | Warned):
            self.report(event)

    def _tell_end(self, job: Job, ended: Ended, now: datetime) -> None:
        if ended.is_locked_out:
            self._not_before = time.monotonic() + AGAIN_S
            self.report(ended.told(job, "waiting", f"{job.name} waits: {ended.error}"))
            return
        if not ended.is_done:
            self.report(ended.told(job, "failed", f"{job.name} failed: {ended.why}"))
            if self._name is not None:
                details = {"error": ended.error, "kind": "JobFailed", "is_audited": self._name == "audit"}
                self._records.settle_failure(_OPERATIONS[self._name], job.started_at, now, details)
        elif self._name is not None:
            self.report(ended.told(job, "done", _done_text(job, ended)))
            self._is_prune_due = self._name != "drill" and self._prunable(now)
        self._tell_overrun(job, now)

    def _prunable(self, now: datetime) -> bool:
        try:
            return prunable(self.configuration, now)
        except PermafrostError as error:
            self.report(Warned(f"nothing is pruned: {error.message}"))
            return False

    def _tell_overrun(self, job: Job, now: datetime) -> None:
        """Runs that came due during one of their own kind were left out; a few are the rhythm, many are a finding."""
        if self._name is None or self._name not in self.calendar.rhythms:
            return
        passed = self.calendar.rhythms[self._name].count(job.started_at, now)
        if passed >= OVERRUN_COUNTS_FROM:
            took = timedelta(seconds=round(job.took_s))
            self._record_missed(self._name, passed, job.started_at, now, f"the one before them took {took}")


def _done_text(job: Job, ended: Ended) -> str:
    told = ended.document
    if job.words == _PRUNE:
        return f"{job.name}: removed {len(told.get('removed', ()))}, kept {len(told.get('kept', ()))}"
    size = f", {told['bytes_new'] / 1000:,.0f} kB new" if "bytes_new" in told else ""
    took = f" in {told['duration_s']:.1f} s" if "duration_s" in told else ""
    return f"{job.name}: snapshot {told.get('snapshot')}{size}{took}"
