"""Runs the commands in [[hooks]] around a job: by hand, by cron and by the service alike.

Rules:

1. A hook that fails `before` a job refuses it. Later ones do not run then, and the job does not begin.
2. Whatever a job comes to, and where a hook has refused it, `on-failure` and `after` run: what a hook has stopped
   before is started again. If they fail, that is a warning: the job came to what it came to. A job that found the
   repository locked by another run has not failed: for it, `after` runs alone.
3. A hook gets a JSON document on stdin, an environment without secrets, and `timeout_s`; there is no shell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from permafrost.config.alerting import Hook, HookedJob
from permafrost.config.models import Configuration
from permafrost.errors import LockedError, PermafrostError, ReportedError, ToolError, exit_code_of
from permafrost.events import Note, Reporter, Warned
from permafrost.processes.program import Program, ProgramFailedError
from permafrost.processes.run import run

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MOST_BYTES = 60_000
"""A pipe takes 64 KiB before anybody reads; a hook that reads nothing must not hold the job up."""
_When = Literal["before", "after", "on-failure"]


class HookFailedError(ToolError):
    """A hook has refused a job."""


@dataclass(slots=True)
class HookedRun:
    """A run of a job with its hooks; `done` is to be called with its document once it is done."""

    document: dict[str, Any] = field(default_factory=dict)

    def done(self, document: DataclassInstance) -> None:
        """Take what the job came to."""
        self.document = asdict(document)


@contextmanager
def hooked(configuration: Configuration | None, job: HookedJob, report: Reporter) -> Iterator[HookedRun]:
    """Run the block as the job, between its hooks; raise `HookFailedError` if one of them refuses it."""
    hooks = [hook for hook in configuration.hooks if job in hook.jobs] if configuration is not None else []
    running = HookedRun()
    if configuration is None or not hooks:
        yield running
        return
    about = {"server": configuration.server.name, "job": job, "began_at": datetime.now(UTC).isoformat()}
    try:
        _refuse_or_begin(hooks, about, report)
        yield running
    except BaseException as error:
        failed = {**about, "outcome": "failed", "error": _described(error)}
        if not isinstance(error, LockedError):
            _run_all(hooks, "on-failure", failed, report)
        _run_all(hooks, "after", failed, report)
        raise
    _run_all(hooks, "after", {**about, "outcome": "done", "result": running.document}, report)


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
