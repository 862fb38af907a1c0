"""pg_basebackup: the server's files, incremental from PostgreSQL 17 on, sealed by gpg as it cannot encrypt.

Each backup goes into a folder of its own as a tar compressed by zstd, on the client, with the WAL that makes it
consistent (`-X fetch`), and no other WAL: the moments between two backups cannot be had back. Then gpg encrypts the tar
and the manifest into the folder that goes to the vaults, and the tar is removed; the manifest stays, as the next backup
begins with it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.own_server import RestoresToOwnServer
from bench.programs import LeftOutError, gpg_with_passphrase, pipe
from permafrost.postgres.programs.clients import client_program
from permafrost.postgres.programs.scratch import SERVER_USER, ScratchCluster
from permafrost.postgres.version import SUMMARIZING_MAJOR

_TAR, _MANIFEST = "base.tar.zst", "backup_manifest"


class BaseBackup(RestoresToOwnServer):
    """`pg_basebackup` in full, then `--incremental`; back by `pg_combinebackup` of all and a start of the server.

    Raise `LeftOutError` unless the server is of PostgreSQL 17 or newer, with `summarize_wal` on.
    """

    name = "pg_basebackup, zstd, gpg"

    def __init__(self, folder: Path, conninfo: str, server_major: int, gpg_home: Path) -> None:
        _check_summaries(conninfo, server_major)
        super().__init__(folder / "restored", str(conninfo_to_dict(conninfo)["dbname"]))
        folder.mkdir()
        folder.chmod(0o711)
        self.stored = folder / "stored"
        self.stored.mkdir()
        self._work, self._parts = folder / "work", folder / "parts"
        self._count = 0
        self._pg_basebackup = (client_program("pg_basebackup", server_major), f"--dbname={conninfo}")
        self._pg_combinebackup = client_program("pg_combinebackup", server_major)
        self._gpg = gpg_with_passphrase(folder / "passphrase", gpg_home)

    def backup(self) -> None:
        """Make a full backup the first time, then incremental ones, each upon the one before."""
        made = self._work / str(self._count)
        before = self._work / str(self._count - 1) / _MANIFEST
        upon = (f"--incremental={before}",) if self._count else ()
        how = ("--format=tar", "--wal-method=fetch", "--compress=client-zstd:3", "--checkpoint=fast")
        pipe((*self._pg_basebackup, f"--pgdata={made}", *how, *upon))
        sealed = self.stored / f"{self._count:04d}"
        sealed.mkdir()
        pipe((*self._gpg, "--compress-algo", "none", "--output", str(sealed / f"{_TAR}.gpg"), "-c", str(made / _TAR)))
        pipe((*self._gpg, "--output", str(sealed / f"{_MANIFEST}.gpg"), "-c", str(made / _MANIFEST)))
        (made / _TAR).unlink()
        self._count += 1

    def restore(self, target: ScratchCluster) -> str:
        """Decrypt and unpack every backup, combine them into a new data folder and start a server on it."""
        del target
        parts = [self._unpacked(sealed) for sealed in sorted(self.stored.glob("[0-9]*"))]  # not Syncthing's own
        self.make_restored()
        data = self.restored.data_folder
        if parts[1:]:
            pipe((self._pg_combinebackup, *map(str, parts), f"--output={data}"))
        else:  # it has nothing to combine
            pipe(("cp", "-a", f"{parts[0]}/.", str(data)))
        if os.geteuid() == 0:
            pipe(("chown", "--recursive", f"{SERVER_USER}:{SERVER_USER}", str(data)))
        return self.started()

    def discard(self, target: ScratchCluster) -> None:
        """Stop and remove the restored server, and what the backups were unpacked into."""
        RestoresToOwnServer.discard(self, target)
        shutil.rmtree(self._parts, ignore_errors=True)

    def _unpacked(self, sealed: Path) -> Path:
        part = self._parts / sealed.name
        self._parts.mkdir(exist_ok=True)
        part.mkdir(mode=0o700)  # the data folder gets it
        unpack = ("tar", "--extract", f"--directory={part}", "--no-same-owner")
        pipe((*self._gpg, "-d"), ("zstd", "-dcq"), unpack, source=sealed / f"{_TAR}.gpg")
        pipe((*self._gpg, "-d"), source=sealed / f"{_MANIFEST}.gpg", target=part / _MANIFEST)
        return part


def _check_summaries(conninfo: str, server_major: int) -> None:
    needs = f"{BaseBackup.name} is left out: its incremental backups need PostgreSQL {SUMMARIZING_MAJOR} or newer"
    if server_major < SUMMARIZING_MAJOR:
        raise LeftOutError(f"{needs}, and this server is {server_major}")
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SHOW summarize_wal").fetchone()
    if row != ("on",):
        raise LeftOutError(f"{needs} with summarize_wal on, which is off")
