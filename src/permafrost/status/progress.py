"""The job under way, as the service writes it down while it runs, for whoever looks."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from permafrost.documents.status import RunningDocument
from permafrost.small_files import read_small

PROGRESS_FILE = "progress.json"
_MOST_BYTES = 1 << 16
_STALE = timedelta(hours=3)
"""A job may be silent for hours while PostgreSQL builds an index."""


class RunningJob(BaseModel):
    """A job under way: its command, and how far it is."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    job: Annotated[str, Field(max_length=100)]
    started_at: AwareDatetime
    written_at: AwareDatetime
    service_pid: Annotated[int, Field(gt=0, lt=1 << 31)]
    step: Annotated[str, Field(max_length=300)] = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""

    def document(self) -> RunningDocument:
        """Return it for JSON."""
        return RunningDocument(self.job, self.started_at, self.step, self.done, self.total, self.unit)


def read_running(state: Path, now: datetime) -> RunningJob | None:
    """Return the job that the service runs now; None if there is none, or the service that wrote it has died."""
    with suppress(OSError, ValidationError):
        found = RunningJob.model_validate_json(read_small(state / PROGRESS_FILE, _MOST_BYTES))
        if now - found.written_at < _STALE and _is_alive(found.service_pid):
            return found
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True
