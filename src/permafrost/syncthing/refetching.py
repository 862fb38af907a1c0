"""Files of a received folder that are damaged here, and that Syncthing is to fetch again: each at most once an hour."""

from __future__ import annotations

import time

from permafrost.errors import ReplicationError
from permafrost.events import Note, Reporter
from permafrost.syncthing.client import Client

_AGAIN_S = 3600.0


class Refetching:
    """What was requested of a folder. Without a client nothing is ever due."""

    def __init__(self, client: Client | None, folder_id: str, report: Reporter) -> None:
        self._client = client
        self._folder_id = folder_id
        self._report = report
        self._next_s: dict[str, float] = {}

    def is_due(self, path: str) -> bool:
        """Return whether the file at `path` may be requested: then take the damaged one away, and call `request`."""
        return self._client is not None and time.monotonic() >= self._next_s.get(path, 0.0)

    def request(self, path: str, name: str) -> None:
        """Have the file fetched, which no longer is at `path`; `name` is what a note calls it if that fails."""
        if self._client is None:
            return
        self._next_s[path] = time.monotonic() + _AGAIN_S
        try:
            self._client.scan(self._folder_id, [path])
            self._client.revert(self._folder_id)
        except ReplicationError as error:
            self._next_s[path] = 0.0
            self._report(Note(f"{name} could not be requested yet: {error.message}"))
