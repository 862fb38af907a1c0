"""What every part of a backup run needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.events import Reporter, Steps
from permafrost.openpgp.sealing import Sealing
from permafrost.postgres.left_out import LeftOut
from permafrost.repository.layout import Layout
from permafrost.repository.repository import Repository
from permafrost.timing import WorkTimes

STATE_FILE = "segments.sqlite"
"""The segment log's own file in the state folder."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """A backup run under way; `home` is a GnuPG home that lasts as long as the run."""

    configuration: Configuration
    repository: Repository
    sealing: Sealing
    home: Path
    steps: Steps
    report: Reporter
    is_audited: bool
    is_full: bool
    times: WorkTimes
    now: datetime

    @property
    def left_out(self) -> LeftOut:
        """What the configuration leaves out of the snapshot."""
        database = self.configuration.database
        return LeftOut.named(database.exclude_schemas, database.exclude_tables)

    @property
    def layout(self) -> Layout:
        """The repository's places."""
        return self.repository.layout
