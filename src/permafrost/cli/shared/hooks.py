"""Runs the commands in [[hooks]] around a job: by hand, by cron and by the service alike.

Rules:

1. A hook that fails `before` a job refuses it. Later ones do not run then, and the job does not begin.
2. `on-failure` runs if a job failed, if a hook has refused it, and if it was done with findings: all that gives an exit
   code which asks for a human.
3. Whatever a job comes to, `after` runs once a hook `before` it may have run: what that has stopped is started again.
   If hooks after a job fail, that is a warning: the job came to what it came to.
4. A run that finds another one at work runs no hooks: what those of the other have stopped would be started again in
   the middle of it. So runs with hooks take turns, by a lock that they hold around their hooks too. Only a run without
   hooks can still take the repository while a hook runs `before`; then `after` runs alone, and the outcome is "locked".
5. A hook gets a JSON document on stdin, an environment without secrets, and `timeout_s`; there is no shell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from permafrost.config.alerting import Hook, HookedJob
from permafrost.config.models import Configuration
from permafrost.errors import LockedError, PermafrostError, ReportedError, ToolError, exit_code_of
from permafrost.events import Note, Reporter, Warned
from permafrost.processes.program import Program, ProgramFailedError
from permafrost.processes.run import run
from permafrost.repository.layout import Layout
from permafrost.repository.lock import check_unlocked, file_lock

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MOST_BYTES = 60_000
"""A pipe takes 64 KiB before anybody reads; a hook that reads nothing must not hold the job up."""
_When = Literal["before", "after", "on-failure"]
HookedOutcome = Literal["done", "findings", "failed", "locked"]
"""How a job ended, as hooks get it: a value that is new needs a line in docs/how-to/hooks.md."""
_LOCKS: dict[HookedJob, str] = {
    "backup": "hooks-backup.lock",
    "audit": "hooks-backup.lock",
    "prune": "hooks-prune.lock",
}
"""The lock of each job's hooks, in the state folder. Drills take no turns: two may run at once."""


class HookFailedError(ToolError):
    """A hook has refused a job."""


@dataclass(slots=True)
class HookedRun:
    """A run of a job with its hooks; `done` is to be called with its document once it is done."""

    document: dict[str, Any] = field(default_factory=dict)
    has_findings: bool = False

    def done(self, document: DataclassInstance, *, has_findings: bool = False) -> None:
        """Take what the job came to, and whether its findings need a human (exit code 3)."""
        self.document = asdict(document)
        self.has_findings = has_findings


@contextmanager
def hooked(configuration: Configuration | None, job: HookedJob, report: Reporter) -> Iterator[HookedRun]:
    """Run the block as the job, between its hooks.

    Raise `HookFailedError` if one of them refuses it, `LockedError` if another run is at work.
    """
    hooks = [hook for hook in configuration.hooks if job in hook.jobs] if configuration is not None else []
    running = HookedRun()
    if configuration is None or not hooks:
        yield running
        return
    about = {"server": configuration.server.name, "job": job, "began_at": datetime.now(UTC).isoformat()}
    with _in_turn(configuration, job):
        try:
            _refuse_or_begin(hooks, about, report)
            yield running
        except BaseException as error:
            outcome: HookedOutcome = "locked" if isinstance(error, LockedError) else "failed"
            _run_after(hooks, outcome, {**about, "error": _described(error)}, report)
            raise
        outcome = "findings" if running.has_findings else "done"
        _run_after(hooks, outcome, {**about, "result": running.document}, report)


@contextmanager
def _in_turn(configuration: Configuration, job: HookedJob) -> Iterator[None]:
    """Hold other runs with hooks off during the block; raise `LockedError` if one, or a run without hooks, is at work.

    A state folder that does not exist yet, or that a hook mounts, holds nobody off.
    """
    name = _LOCKS.get(job)
    if name is None:
        yield
        return
    state = configuration.state.path
    lock: AbstractContextManager[None] = nullcontext()
    if state.is_dir():
        lock = file_lock(state / name, job, datetime.now(UTC), what="another run is at work between its hooks")
    with lock:
        check_unlocked(Layout(configuration.repository.path))
        yield


def _run_after(hooks: list[Hook], outcome: HookedOutcome, about: Mapping[str, Any], report: Reporter) -> None:
    told = {**about, "outcome": outcome}
    if outcome in ("failed", "findings"):
        _run_all(hooks, "on-failure", told, report)
    _run_all(hooks, "after", told, report)


def _refuse_or_begin(hooks: list[Hook], about: Mapping[str, Any], report: Reporter) -> None:
    for hook in _of(hooks, "before"):
        try:
            _run(hook, about, report)
        except PermafrostError as error:
            raise HookFailedError(
                f"a hook before the {about['job']} refused it: {error.message}",
                unchanged=f"everything; the {about['job']} was not begun",
                hint=f"correct the command {hook.command[0]} in [[hooks]], or what it complains about",
            ) from error


def _run_all(hooks: list[Hook], when: _When, about: Mapping[str, Any], report: Reporter) -> None:
    for hook in _of(hooks, when):
        try:
            _run(hook, about, report)
        except PermafrostError as error:
            report(Warned(f"the hook {hook.command[0]} ({when}) failed: {error.message}"))


def _of(hooks: list[Hook], when: _When) -> list[Hook]:
    return [hook for hook in hooks if hook.when == when]


def _run(hook: Hook, about: Mapping[str, Any], report: Reporter) -> None:
    report(Note(f"hook, {hook.when}: {hook.command[0]}"))
    told = {"when": hook.when, **about}
    text = json.dumps(told, default=str)
    if len(text) > MOST_BYTES:
        text = json.dumps({**told, "result": None}, default=str)
    finished = run(Program(hook.command), stdin=f"{text}\n".encode(), timeout_s=hook.timeout_s, keeps_output=False)
    if finished.returncode != 0:
        raise ProgramFailedError(finished)


def _described(error: BaseException) -> dict[str, Any]:
    if isinstance(error, ReportedError):
        message = error.message[: MOST_BYTES // 4]
        return {"code": error.code, "exit_code": exit_code_of(error), "message": message, "step": error.step}
    return {"code": "defect", "exit_code": 1, "message": type(error).__name__, "step": ""}
