"""pgBackRest: the server's files and its WAL, in an encrypted repository; full the first time, then incremental."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.archives import give_to_server
from bench.own_server import RestoresToOwnServer
from bench.programs import BenchError, LeftOutError, pipe
from permafrost.postgres.programs.scratch import SERVER_USER, ScratchCluster

_PATIENCE_S = 300
_BLOCKS_SINCE = (2, 46)
_NOT_KNOWN = "is this version of PostgreSQL supported?"


class PgBackRest(RestoresToOwnServer):
    """As its user guide sets it up, with zstd and two processes. The source must have archive_mode on.

    From 2.46 on, an incremental backup stores the blocks of a file that have changed, otherwise whole files. What is
    stored is backups and archived WAL. The WAL that an hour's churn wrote is archived before the backup is timed, but
    counts in its bytes. Raise `LeftOutError` if it is not installed, or does not know the server's version.
    """

    name = "pgBackRest"

    def __init__(self, folder: Path, conninfo: str, source: ScratchCluster) -> None:
        if shutil.which("pgbackrest") is None:
            raise LeftOutError(f"{self.name} is left out: it is not installed")
        super().__init__(folder / "restored", str(conninfo_to_dict(conninfo)["dbname"]))
        folder.mkdir()
        folder.chmod(0o711)
        self.stored = folder / "repository"
        self._folder = folder
        self._source = source
        self._user = SERVER_USER if os.geteuid() == 0 else None
        for part in (self.stored, folder / "log", folder / "lock"):
            give_to_server(part)
        file = folder / "pgbackrest.conf"
        file.write_text(self._configuration())
        if self._user:
            pipe(("chown", "postgres:postgres", str(file)))
        file.chmod(0o600)
        said = ("--log-level-console=off", "--log-level-stderr=warn")  # what it says of an error is wanted
        self._program = ("pgbackrest", f"--config={file}", "--stanza=bench", *said)
        self._create_stanza()
        self._set_archive_command(" ".join((*self._program, "archive-push", "%p")))
        self.settle()
        self._run("check")

    def _create_stanza(self) -> None:
        try:
            self._run("stanza-create")
        except BenchError as error:
            if _NOT_KNOWN not in str(error):
                raise
            raise LeftOutError(
                f"{self.name} is left out: it does not know this version of PostgreSQL; a newer one may"
            ) from error

    def _configuration(self) -> str:
        blocks = "repo1-block=y\n" if backs_up_blocks(pgbackrest_version()) else ""
        return f"""[global]
repo1-path={self.stored}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={secrets.token_hex(24)}
repo1-retention-full=2
repo1-bundle=y
{blocks}compress-type=zst
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
            # less a byte: where nothing was written since the last one, 17 names the file that begins there
            last = connection.execute("SELECT pg_walfile_name(pg_switch_wal() - 1)").fetchone()
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
        place = f"--pg1-path={self.restored.data_folder}"
        self.make_restored()
        self._run("restore", place, "--type=immediate", "--target-action=promote")
        return self.started()

    def _set_archive_command(self, command: str) -> None:
        with psycopg.connect(self._source.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
            connection.execute("SELECT pg_reload_conf()")

    def _run(self, command: str, *more: str) -> None:
        pipe((*self._program, *more, command), user=self._user)


def pgbackrest_version() -> str:
    """Return the version of the program on PATH, such as `2.55.1`."""
    said = subprocess.run(("pgbackrest", "version"), capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else ""


def backs_up_blocks(version: str) -> bool:
    """Return whether this version can store the changed blocks of a file."""
    return tuple(int(part) for part in version.split(".")) >= _BLOCKS_SINCE if version else False
