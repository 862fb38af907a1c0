"""What an operation reports while it works, as typed events.

Operations take a `Reporter` and call it; the terminal, JSON lines and the journal only render events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Literal, get_args

from permafrost.documents.document import Document
from permafrost.errors import ReportedError


@dataclass(frozen=True, slots=True)
class StepStarted(Document):
    """Step `number` of `total` has begun."""

    number: int
    """its number, from 1"""
    total: int
    """how many steps there are"""
    title: str
    """what is done in it"""


Unit = Literal["bytes", "tables", "indexes", "keys", "objects", "files"]


@dataclass(frozen=True, slots=True)
class Progress(Document):
    """`done` of `total` units of the current step are done."""

    done: int
    """how many are done"""
    total: int | None
    """how many there are; null where nobody can know it"""
    unit: Unit
    """what is counted: `bytes`, `tables`, `indexes`, `objects` or `files`"""


@dataclass(frozen=True, slots=True)
class Note(Document):
    """Something worth reading that needs no human."""

    message: str
    """the text"""


@dataclass(frozen=True, slots=True)
class Warned(Document):
    """Something that a human should look at, and that did not stop the run."""

    message: str
    """the text"""


Outcome = Literal["done", "failed", "waiting"]


@dataclass(frozen=True, slots=True)
class JobEnded(Document):
    """A job of a service has ended; in systemd's journal its fields can be searched by."""

    message: str
    """the text"""
    job: str
    """the job, as its command is typed"""
    outcome: Outcome
    """`done`, `failed`, or `waiting`: another run held the repository, and the job runs again soon"""
    exit_code: int
    """how its process ended; negative for a signal"""
    duration_s: float
    """how long it took, in seconds"""
    snapshot: str | None = None
    """the snapshot that it made or tried; null if it names none"""
    bytes_new: int | None = None
    """how many bytes it added to the repository; null if it adds none"""


Event = StepStarted | Progress | Note | Warned | JobEnded
Reporter = Callable[[Event], None]
_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
"""The names are those of the JSON lines that commands write with --json, and that the service reads from its jobs."""


def encode_event(event: Event) -> str:
    """Return the event as a line of JSON, without its end."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def decode_event(line: str) -> Event | None:
    """Return the event that a line of JSON tells of, None if it tells of none that is known here.

    Fields that a newer version adds are left alone.
    """
    try:
        fields = json.loads(line)
        kind = _KINDS[fields["event"]]
        known = {field.name: fields[field.name] for field in dataclass_fields(kind)}
        return kind(**known)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def ignore_events(event: Event) -> None:
    """A reporter that reports nothing."""
    del event


def steps_as_notes(report: Reporter) -> Reporter:
    """Return a reporter for an operation within a step of another one: its own steps become notes."""

    def told(event: Event) -> None:
        report(Note(event.title) if isinstance(event, StepStarted) else event)

    return told


class Steps:
    """Numbers the steps of an operation, and names the step in every error that leaves it."""

    def __init__(self, report: Reporter, total: int) -> None:
        self._report = report
        self._total = total
        self._number = 0

    def skip(self, count: int) -> None:
        """Skip `count` steps that this run does not have."""
        self._number += count

    def back_to(self, number: int) -> None:
        """Let the next step be number `number` again."""
        self._number = number - 1

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run the block as the next numbered step; a `ReportedError` out of it learns the step's name."""
        self._number += 1
        self._report(StepStarted(self._number, self._total, title))
        try:
            yield
        except ReportedError as error:
            if not error.step:
                error.step = f"step {self._number} of {self._total}: {title}"
            raise
