"""Problems in a file, one line each, in the form that compilers and editors use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from permafrost.errors import ConfigurationError

if TYPE_CHECKING:
    from permafrost.documents.setup import ProblemDocument


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right: in `file`, at `line` if it is known, at `key` if it is about one."""

    file: Path
    message: str
    line: int | None = None
    key: str = ""

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.line else str(self.file)
        return ": ".join(part for part in (where, self.key, self.message) if part)

    def document(self) -> ProblemDocument:
        """Return it for JSON."""
        from permafrost.documents.setup import ProblemDocument  # noqa: PLC0415 - every run imports this module

        return ProblemDocument(file=str(self.file), line=self.line, key=self.key, message=self.message)


class InvalidFileError(ConfigurationError):
    """A file has problems; all of them are in `problems` and, one line each, in the message."""

    def __init__(self, problems: tuple[Problem, ...], *, hint: str = "", unchanged: str = "") -> None:
        super().__init__("\n".join(map(str, problems)), hint=hint, unchanged=unchanged)
        self.problems = problems
