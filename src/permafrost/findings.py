"""Something that needs a human."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: what, where, and what to do. `kind` is stable."""

    kind: str
    subject: str
    message: str
