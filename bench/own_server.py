"""A restore of a server's files, which ends with a server of its own started on them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import psycopg

from bench.programs import BenchError
from permafrost.postgres.programs.scratch import SERVER_USER, ScratchCluster
from permafrost.postgres.programs.scratch_folder import ScratchFolder

_PATIENCE_S = 300


class RestoresToOwnServer:
    """What systems that back up files have in common: their restore needs no other server, and makes one."""

    def __init__(self, folder: Path, database: str) -> None:
        self.restored = ScratchCluster(folder)
        self._database = database
        self._is_running = False

    def server_of_restore(self, target: ScratchCluster) -> int | None:
        """Return the process id of the restored server, None before it runs."""
        del target
        return self.restored.pid if self._is_running else None

    def discard(self, target: ScratchCluster) -> None:
        """Stop and remove the restored server."""
        del target
        self._is_running = False
        self.restored.destroy()
        shutil.rmtree(self.restored.folder, ignore_errors=True)

    def make_restored(self) -> None:
        """Make the empty data folder of the restored server, the server's own."""
        place = ScratchFolder(self.restored.folder, SERVER_USER if os.geteuid() == 0 else None)
        place.claim()
        place.make_for_server(place.data)

    def started(self) -> str:
        """Start the restored server and return how to connect to the database, once recovery is over."""
        self.restored.start()
        self._is_running = True
        conninfo = self.restored.conninfo(self._database)
        until = time.monotonic() + _PATIENCE_S
        with psycopg.connect(conninfo, autocommit=True) as connection:
            while connection.execute("SELECT 1 WHERE pg_is_in_recovery()").fetchone():
                if time.monotonic() > until:
                    raise BenchError(f"recovery does not end: {self.restored.log_tail()}")
                time.sleep(0.05)
        return conninfo
