"""When the server's own media are to be compared with its database: every `[media] compare_days`, beside the schedule.

The first time is a day after the records begin, so that a new server makes its first backup undisturbed. A comparison
that failed is tried again a day later: nothing depends on it.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError
from permafrost.runs import MEDIA_COMPARED, RunRecords

AGAIN = timedelta(days=1)
LOOK_AGAIN_S = 60.0


class ComparisonDue:
    """Asks the run records, at most once a minute."""

    def __init__(self, configuration: Configuration) -> None:
        self._every = timedelta(days=configuration.media.compare_days if configuration.media is not None else 0)
        self._state = configuration.state.path
        self._not_before_s = float("-inf")

    def is_due(self, now: datetime) -> bool:
        """Return whether a comparison is due, as far as the records can be read."""
        if not self._every or time.monotonic() < self._not_before_s:
            return False
        self._not_before_s = time.monotonic() + LOOK_AGAIN_S
        try:
            return self._is_due(RunRecords(self._state, is_read_only=True), now)
        except PermafrostError:
            return False

    def _is_due(self, records: RunRecords, now: datetime) -> bool:
        began = records.began()
        if began is None or now - began < AGAIN:
            return False
        last, done = records.newest(MEDIA_COMPARED), records.newest(MEDIA_COMPARED, "done")
        is_tried = last is not None and abs(now - last.started_at) < AGAIN
        is_done = done is not None and abs(now - done.started_at) < self._every
        return not (is_tried or is_done)
