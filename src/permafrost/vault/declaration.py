"""What a server declares to its vaults: how often it backs up, and what its prune keeps. `declared.json`, not signed.

A vault can read nothing of a server, so it cannot know by itself whether a snapshot is late, or whether one that is
gone was pruned. Whoever holds the server can declare anything; a declaration that promises less than the one before is
therefore a finding itself, and what a vault keeps depends on none (decision 58).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from permafrost.errors import IntegrityError

DECLARATION_FILE = "declared.json"
MAXIMUM_BYTES = 65536
LONGEST_S = 32 * 86400
"""The longest time between two backups that is believed."""
_LONG_S = 6 * 3600
"""Intervals from this length on grow by an hour in one night of the year, when summer time ends."""
_Count = Annotated[int, Field(ge=0, lt=1 << 31)]


class DeclaredRetention(BaseModel):
    """How many snapshots the server's prune keeps by each rule, as in its `[retention]`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    last: _Count = 0
    hourly: _Count = 0
    daily: _Count = 0
    weekly: _Count = 0
    monthly: _Count = 0


class Declaration(BaseModel):
    """The file. Keys may be added in later versions; unknown ones are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    backup_every_s: Annotated[int, Field(ge=1, le=LONGEST_S)] | None = None
    """The longest time between two scheduled backups; None if the server does not schedule them itself."""
    retention: DeclaredRetention = DeclaredRetention()

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return self.model_dump_json(indent=1).encode("utf-8") + b"\n"

    def less_than(self, before: Declaration) -> Iterator[str]:
        """Yield, in words, each promise that is weaker than it was `before`."""
        every_s, was_s = self.backup_every_s or LONGEST_S + 7200, before.backup_every_s
        if was_s is not None and every_s > was_s + (3600 if was_s >= _LONG_S else 0):
            now = "on no schedule of its own" if self.backup_every_s is None else f"every {self.backup_every_s} s"
            yield f"a backup {now}, where it was every {was_s} s"
        for rule in DeclaredRetention.model_fields:
            now_kept, kept = getattr(self.retention, rule), getattr(before.retention, rule)
            if now_kept < kept:
                yield f"{rule} = {now_kept}, where it was {kept}"


def parse_declaration(content: bytes) -> Declaration:
    """Return what the file says; raise `IntegrityError` if it is none."""
    try:
        return Declaration.model_validate_json(content)
    except ValidationError as error:
        raise IntegrityError(f"{DECLARATION_FILE} cannot be read") from error
