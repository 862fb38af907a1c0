"""How many bytes may still be fetched today, by the vault's own time. A restart forgets none of it."""

from __future__ import annotations

import json
from datetime import datetime

from permafrost.vault.arrivals import Records

_USED = "media-fetched-today"


class DayBudget:
    """The bytes of a day."""

    def __init__(self, records: Records, most_bytes: int) -> None:
        self._records = records
        self._most_bytes = most_bytes
        self._day, self._used_bytes = json.loads(records.note(_USED) or '["", 0]')

    def has_room(self, size_bytes: int, now: datetime) -> bool:
        """Return whether that much may be fetched; a file that is larger than a whole day's bytes begins a day."""
        used_bytes = self._today(now)
        return used_bytes == 0 or used_bytes + size_bytes <= self._most_bytes

    def used(self, size_bytes: int, now: datetime) -> None:
        """Note that so much came."""
        self._used_bytes = self._today(now) + size_bytes
        self._records.set_note(_USED, json.dumps([self._day, self._used_bytes]))

    def _today(self, now: datetime) -> int:
        if self._day != now.date().isoformat():
            self._day, self._used_bytes = now.date().isoformat(), 0
        return int(self._used_bytes)
