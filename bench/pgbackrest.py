"""pgBackRest: the server's files and its WAL, in an encrypted repository; full the first time, then incremental."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.archives import give_to_server
from bench.programs import BenchError, pipe
from permafrost.postgres.programs.scratch import SERVER_USER, ScratchCluster

_PATIENCE_S = 300


class PgBackRest:
    """As its user guide sets it up, with zstd and two processes. The source must have archive_mode on.

    What is stored is backups and archived WAL. The WAL that an hour's churn wrote is archived before the backup is
    timed, but counts in its bytes.
    """

    name = "pgBackRest"

    def __init__(self, folder: Path, conninfo: str, source: ScratchCluster) -> None:
        folder.mkdir()
        folder.chmod(0o711)
        self.stored = folder / "repository"
        self._folder = folder
        self._source = source
        self._database = str(conninfo_to_dict(conninfo)["dbname"])
        self._user = SERVER_USER if os.geteuid() == 0 else None
        for part in (self.stored, folder / "log", folder / "lock"):
            give_to_server(part)
        file = folder / "pgbackrest.conf"
        file.write_text(self._configuration())
        if self._user:
            pipe(("chown", "postgres:postgres", str(file)))
        file.chmod(0o600)
        self._program = ("pgbackrest", f"--config={file}", "--stanza=bench", "--log-level-console=warn")
        self._restored: ScratchCluster | None = None
        self._run("stanza-create")
        self._set_archive_command(" ".join((*self._program, "archive-push", "%p")))
        self.settle()
        self._run("check")

    def _configuration(self) -> str:
        return f"""[global]
repo1-path={self.stored}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={secrets.token_hex(24)}
repo1-retention-full=2
repo1-bundle=y
compress-type=zst
process-max=2
start-fast=y
log-path={self._folder / "log"}
lock-path={self._folder / "lock"}
[bench]
pg1-path={self._source.data_folder}
pg1-socket-path={self._source.socket_folder}
pg1-user=postgres
"""

    def settle(self) -> None:
        """Let the server finish its WAL file, and wait until pgBackRest has all of it."""
        with psycopg.connect(self._source.conninfo("postgres"), autocommit=True) as connection:
            last = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
            until = time.monotonic() + _PATIENCE_S
            while time.monotonic() < until:
                row = connection.execute("SELECT last_archived_wal FROM pg_stat_archiver").fetchone()
                if row and last and row[0] and row[0][:24] >= last[0]:
                    return
                time.sleep(0.1)
        raise BenchError(f"the WAL was not archived; the server says: {self._source.log_tail()}")

    def backup(self) -> None:
        """Make a full backup the first time, then incremental ones."""
        self._run("backup", "--type=incr")

    def restore(self, target: ScratchCluster) -> str:
        """Restore the files into a new folder and start a server on them: statistics come along."""
        del target
        self._restored = restored = ScratchCluster(self._folder / "restored")
        give_to_server(restored.data_folder)
        restored.folder.chmod(0o711)
        restored.data_folder.chmod(0o700)
        self._run("restore", f"--pg1-path={restored.data_folder}", "--type=immediate", "--target-action=promote")
        restored.start()
        conninfo = restored.conninfo(self._database)
        until = time.monotonic() + _PATIENCE_S
        with psycopg.connect(conninfo, autocommit=True) as connection:
            while connection.execute("SELECT 1 WHERE pg_is_in_recovery()").fetchone():
                if time.monotonic() > until:
                    raise BenchError(f"recovery does not end: {restored.log_tail()}")
                time.sleep(0.05)
        return conninfo

    def server_of_restore(self, target: ScratchCluster) -> int | None:
        """Return the process id of the restored server, None before there is one."""
        del target
        return self._restored.pid if self._restored else None

    def discard(self, target: ScratchCluster) -> None:
        """Stop and remove the restored server."""
        del target
        if self._restored:
            self._restored.destroy()
            shutil.rmtree(self._restored.folder, ignore_errors=True)
            self._restored = None

    def _set_archive_command(self, command: str) -> None:
        with psycopg.connect(self._source.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
            connection.execute("SELECT pg_reload_conf()")

    def _run(self, command: str, *more: str) -> None:
        pipe((*self._program, *more, command), user=self._user)
