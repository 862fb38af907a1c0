"""What any command prints if it fails."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class ErrorDetails(Document):
    """What failed, and what to do."""

    code: str
    """the kind of error, see [exit-codes.md](exit-codes.md)"""
    exit_code: int
    """the exit code"""
    message: str
    """what failed"""
    step: str
    """at which step; empty if at none"""
    unchanged: str
    """what was left as it was; may be empty"""
    hint: str
    """what to do; may be empty"""


@dataclass(frozen=True, slots=True)
class ErrorDocument(Document):
    """Any command that fails prints this, and ends with `exit_code`.

    Mistakes in the command line itself (an unknown option, a missing argument) are reported as text on stderr, with
    exit code 2.
    """

    error: ErrorDetails
    """the error"""
