"""What somebody changed in a received folder on the vault itself: it is reported, and the server's version is restored.

Syncthing sends none of it to the server, whose folder is send-only, but neither does it repair it by itself: a file
that was deleted here stays away, and a snapshot that needs it never comes whole.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from permafrost.errors import ReplicationError
from permafrost.findings import FindingKind, FindingSink
from permafrost.syncthing.client import Client
from permafrost.vault_keeping.pace import Pace


class LocalChanges:
    """Looks after one received folder. `client` is None where no Syncthing runs, and then there is nothing to see."""

    def __init__(self, client: Client | None, folder_id: str, found: FindingSink) -> None:
        self._client, self._folder_id, self._found = client, folder_id, found
        self._pace = Pace(timedelta(minutes=1))

    def look(self, now: datetime) -> None:
        """Tell how many files differ from the server's by what was done here, and have them brought back.

        Syncthing sees them when it scans the folder: when it starts, once a day, and on request.
        """
        if self._client is None or not self._pace.is_due(now):
            return
        self._pace.done(now)
        try:
            count = self._client.changed_here(self._folder_id)
            if count:
                self._found(
                    FindingKind.LOCAL_CHANGES,
                    "repository",
                    f"{count} files of the received repository were changed, added or deleted on this vault; restoring "
                    "what the server has; the history is not affected",
                )
                self._client.revert(self._folder_id)
        except ReplicationError:
            return  # a Syncthing that does not answer is reported elsewhere; the next look comes in a minute
