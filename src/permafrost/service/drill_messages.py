"""What the service and the unit of its drills send each other, as lines of JSON over one connection.

The service sends one line, `DrillAsked`. The unit sends the drill's events, as commands write them with --json, and at
last one line, `DrillEnded`. A connection that ends before that line means that the other side has gone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from permafrost.config.models import Configuration
from permafrost.documents.failure import ErrorDetails
from permafrost.documents.restore import DrillDocument
from permafrost.errors import ERROR_CLASSES, InterruptedRunError, PermafrostError, ReportedError, exit_code_of

MOST_BYTES = 16_000_000
"""A line may have so many; findings in a drill's document name 20 rows each."""
_ENDED = "ended"


@dataclass(frozen=True, slots=True)
class DrillAsked:
    """Whose newest audited snapshot is to be drilled: two configurations with one unit would be a mistake."""

    repository: str
    state: str

    @classmethod
    def of(cls, configuration: Configuration) -> DrillAsked:
        """Return what asks for a drill of this configuration's repository."""
        return cls(str(configuration.repository.path), str(configuration.state.path))

    def encoded(self) -> bytes:
        """Return it as a line."""
        return _line(asdict(self))


@dataclass(frozen=True, slots=True)
class DrillEnded:
    """How a drill ended: with its document and what a person reads of it, or with an error."""

    document: DrillDocument | None = None
    lines: tuple[str, ...] = ()
    error: ErrorDetails | None = None

    @classmethod
    def failed(cls, error: ReportedError) -> DrillEnded:
        """Return the end of a drill that failed."""
        code = exit_code_of(error)
        return cls(error=ErrorDetails(error.code, code, error.message, error.step, error.unchanged, error.hint))

    def encoded(self) -> bytes:
        """Return it as a line."""
        return _line({_ENDED: asdict(self)})

    def result(self) -> tuple[DrillDocument, tuple[str, ...]]:
        """Return document and lines; raise the error if there is one."""
        if self.document is None:
            raise _raised(self.error or ErrorDetails("defect", 1, "a drill ended without a result", "", "", ""))
        return self.document, self.lines


def decode_asked(line: bytes) -> DrillAsked | None:
    """Return the request that a line is, None if it is none."""
    try:
        return TypeAdapter(DrillAsked).validate_json(line)
    except ValidationError:
        return None


def decode_ended(line: bytes) -> DrillEnded | None:
    """Return the end that a line tells of, None if it tells of none."""
    try:
        return TypeAdapter(dict[str, DrillEnded]).validate_json(line).get(_ENDED)
    except ValidationError:
        return None


def _raised(details: ErrorDetails) -> ReportedError:
    """Return an error of the same kind as the one in the unit."""
    if details.code == InterruptedRunError.code:
        return InterruptedRunError(details.exit_code - InterruptedRunError.exit_code)
    kinds = (kind for kind in ERROR_CLASSES if kind.code == details.code)
    kind = next(kinds, PermafrostError)
    return kind(details.message, hint=details.hint, unchanged=details.unchanged, step=details.step)


def _line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"
