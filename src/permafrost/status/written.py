"""The part of the status that only a running program can find out, as written by the service or the last backup.

Checking a receipt starts gpg. So whoever runs anyway checks what has come and writes it down, and whoever asks for the
status reads that: `permafrost status` starts no program and writes nothing.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from permafrost.small_files import read_small
from permafrost.vault.report import VaultReport

STATUS_FILE = "status.json"
MOST_BYTES = 64 << 20


class WrittenStatus(BaseModel):
    """What was found out at `written_at`, by this machine's clock."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    written_at: AwareDatetime
    vaults: tuple[VaultReport, ...] = ()

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return self.model_dump_json(indent=1).encode("utf-8") + b"\n"


def read_written(state: Path) -> WrittenStatus | None:
    """Return what was written into the state folder last, None if nothing was, or if it cannot be read."""
    try:
        return WrittenStatus.model_validate_json(read_small(state / STATUS_FILE, MOST_BYTES))
    except (OSError, ValidationError):
        return None
