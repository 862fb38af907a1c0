"""Who is notified of what, and which commands run before and after jobs: [[notify]] and [[hooks]]."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from permafrost.config.section import Section
from permafrost.config.values import CronExpression, SecretFile
from permafrost.documents.finding import SeverityWord

HookedJob = Literal["backup", "audit", "drill", "prune"]
PingedJob = Literal["backup", "audit", "drill", "prune", "findings"]
ReceiverKind = Literal["message", "healthchecks", "uptime-kuma", "url"]
_QUIET = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def _quiet_hours(text: str) -> str:
    parts = _QUIET.fullmatch(text)
    if parts is None:
        raise ValueError("must be two times of day, like 22:00-07:00")
    if parts.group(1, 2) == parts.group(3, 4):
        raise ValueError("begins and ends at the same time of day")
    return text


QuietHours = Annotated[str, AfterValidator(_quiet_hours)]


class Notify(Section):
    """A receiver of alerts: messages about findings, or a monitor that expects a ping for each job."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = Field(
        description="The receiver's name, in findings and for `permafrost notify test`."
    )
    kind: ReceiverKind = Field(
        default="message",
        description="What it is: `message` for anything that apprise can send to (mail, ntfy, Matrix, Telegram, a "
        "webhook), or a monitor that expects pings: one that speaks the protocol of healthchecks.io, a push monitor of "
        "Uptime Kuma, or any `url` that is to be requested after each success.",
    )
    url_file: SecretFile = Field(
        description="A file whose first line is the receiver's URL, mode 0400 or 0600: it holds a password or token. "
        "For `message` it is a URL of apprise's; in that of a monitor, `{job}` stands for the job's name."
    )
    severity: SeverityWord = Field(
        default="warning", description="The least severe finding to be reported, or to be pinged as a failure."
    )
    repeat_hours: Annotated[int, Field(ge=0, le=720, strict=True)] = Field(
        default=24, description="Messages: report an alarm that still holds again after this many hours; 0 for never."
    )
    quiet_hours: QuietHours | None = Field(
        default=None,
        description="Messages: from when to when, in local time, all but alarms waits, like `22:00-07:00`.",
    )
    digest: CronExpression = Field(
        default="off",
        description="Messages: when to send a summary, also if all is well, as a cron expression in local time.",
    )
    jobs: tuple[PingedJob, ...] = Field(
        default=(),
        description="Monitors: what to ping for. Jobs, or `findings`: a ping every five minutes while the service "
        "works, which reports a failure while there are findings. If left out, backup and audit; on a vault, findings.",
    )

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> Self:
        others = ("jobs",) if self.kind == "message" else ("repeat_hours", "quiet_hours", "digest")
        given = [key for key in others if getattr(self, key) != type(self).model_fields[key].default]
        if given:
            raise ValueError(f"{', '.join(given)} cannot be set with kind = {self.kind!r}")
        return self

    def pings_for(self, job: PingedJob, *, on_a_vault: bool) -> bool:
        """Return whether the monitor is pinged for `job`; never for a receiver of messages."""
        if self.kind == "message":
            return False
        usual: tuple[PingedJob, ...] = ("findings",) if on_a_vault else ("backup", "audit")
        return job in (self.jobs or usual)

    def is_quiet_at(self, moment: time) -> bool:
        """Return whether the local time of day `moment` is within the quiet hours."""
        if self.quiet_hours is None:
            return False
        begin, end = (time.fromisoformat(part) for part in self.quiet_hours.split("-"))
        return begin <= moment < end if begin < end else moment >= begin or moment < end


def check_names_differ(receivers: Iterable[Notify]) -> None:
    """Raise `ValueError` if two receivers have the same name."""
    names = [receiver.name for receiver in receivers]
    if len(set(names)) != len(names):
        raise ValueError("two receivers in [[notify]] have the same name")


class Hook(Section):
    """A command of yours that runs before or after jobs. It gets a JSON document on stdin, and no shell."""

    when: Literal["before", "after", "on-failure"] = Field(
        description="`before` the job, which is refused if the command fails; `after` it, whether it succeeded or not; "
        "or only `on-failure`, before those that run after it."
    )
    jobs: Annotated[tuple[HookedJob, ...], Field(min_length=1)] = Field(
        default=("backup", "audit"), description="Of which jobs."
    )
    command: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="The program, by its path or a name on PATH, and its arguments."
    )
    timeout_s: Annotated[int, Field(ge=1, le=86_400, strict=True)] = Field(
        default=600, description="Stop the command after this many seconds; it has then failed."
    )
