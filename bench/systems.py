"""The systems that are measured. Each backs up the same database with its own programs, as its users run them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from psycopg.conninfo import conninfo_to_dict

from bench.programs import BenchError, gpg_with_passphrase, permafrost, pipe
from permafrost.postgres.programs.clients import client_program
from permafrost.postgres.programs.scratch import ScratchCluster


class System(Protocol):
    """A way to back up a database and to get it back."""

    @property
    def name(self) -> str:
        """What it is called in the tables."""

    def first(self) -> int:
        """Make the first backup, and return how many bytes of it go to the vaults."""

    def hourly(self) -> int:
        """Make a later backup, and return how many bytes of it go to the vaults."""

    def restore(self, target: ScratchCluster) -> str:
        """Restore the newest backup to another server, and return the database's name there."""


class PublishedSetup:
    """The published set-up: a plain dump through gzip into a file, then `gpg -c` of that file into another.

    Both files are written anew each time, and the plaintext one stays.
    """

    name = "published set-up"

    def __init__(self, folder: Path, conninfo: str, gpg_home: Path, server_major: int) -> None:
        folder.mkdir()
        self._conninfo = conninfo
        self._major = server_major
        self._dump = folder / "mastodon.sql.gz"
        self.stored = folder / "sent"
        self.stored.mkdir()
        self._sealed = self.stored / "mastodon.sql.gz.enc"
        self._gpg = gpg_with_passphrase(folder / "passphrase", gpg_home)

    def first(self) -> int:
        """Dump, compress, then encrypt."""
        dump = (client_program("pg_dump", self._major), "-C", f"--dbname={self._conninfo}")
        pipe(dump, ("gzip", "-c"), target=self._dump)
        pipe((*self._gpg, "--output", str(self._sealed), "-c", str(self._dump)))
        return self._sealed.stat().st_size

    def hourly(self) -> int:
        """Do all of it again."""
        return self.first()

    def restore(self, target: ScratchCluster) -> str:
        """Decrypt, decompress, and give it to psql: the documented pg_restore refuses a plain dump."""
        psql = (client_program("psql", self._major), "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1")
        server = {"PGHOST": str(target.socket_folder), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        pipe((*self._gpg, "-d"), ("gunzip", "-c"), psql, source=self._sealed, extra=server)
        return str(conninfo_to_dict(self._conninfo)["dbname"])


class PlainArchive:
    """`pg_dump -Fc` into a file, unencrypted, and `pg_restore -j2`: as quick as a restore of a dump gets."""

    name = "pg_dump -Fc, pg_restore -j2, no encryption"

    def __init__(self, folder: Path, conninfo: str, server_major: int) -> None:
        folder.mkdir()
        self._conninfo = conninfo
        self._major = server_major
        self._archive = folder / "mastodon.dump"

    def first(self) -> int:
        """Dump."""
        pipe((client_program("pg_dump", self._major), "-Fc", f"--dbname={self._conninfo}"), target=self._archive)
        return self._archive.stat().st_size

    def hourly(self) -> int:
        """Dump again."""
        return self.first()

    def restore(self, target: ScratchCluster) -> str:
        """Restore with two jobs, making the database."""
        server = f"--dbname={target.conninfo('postgres')}"
        program = client_program("pg_restore", self._major)
        pipe((program, "--exit-on-error", "--create", "--jobs=2", server, str(self._archive)))
        return str(conninfo_to_dict(self._conninfo)["dbname"])


@dataclass(frozen=True, slots=True)
class BackupSays:
    """What `permafrost backup --json` says, as far as it matters here."""

    bytes_new: int
    files_new: int
    rows_new: int
    rows_gone: int
    peak_bytes: int
    work_s: Mapping[str, float]
    scan: Literal["changed", "all", ""]


class Permafrost:
    """permafrost's own commands, with one of its engines; those of another `source` where one is given."""

    def __init__(
        self, folder: Path, conninfo: str, engine: Literal["dump", "log"], *, source: Path | None = None
    ) -> None:
        folder.mkdir()
        self._source = source
        self.name = f"permafrost, engine {engine}"
        self.repository = folder / "repository"
        self.state = folder / "state"
        self.restore_from = self.repository
        self.restore_peak_bytes = 0
        self.began = 0.0
        """When the last backup began, by the monotonic clock."""
        self.choice = "latest"
        """Which snapshot is restored: the week's are of hours yet to come, which `latest` does not refer to."""
        self.newest = ""
        """The last backup's snapshot."""
        self._folder = folder
        self.config_file = file = folder / "permafrost.toml"
        self._config = f"--config={file}"
        places = (f"--repository={self.repository}", f"--state={self.state}")
        permafrost("init", self._config, f"--database={conninfo}", "--name=bench", *places, source=source)
        chosen, lines = re.subn(r"^engine = .*$", f'engine = "{engine}"', file.read_text(), flags=re.MULTILINE)
        if lines != 1:
            raise BenchError(f"{file} has {lines} lines with an engine")
        file.write_text(chosen)

    def backup(self) -> BackupSays:
        """Make a snapshot, and return what the command says of it."""
        self.began = time.monotonic()
        told = permafrost("backup", self._config, "--json", source=self._source)
        said = json.loads(told.text)
        self.newest = str(said["snapshot"])
        return BackupSays(
            bytes_new=int(said["bytes_new"]),
            files_new=int(said["files_new"]),
            rows_new=int(said["rows_new"]),
            rows_gone=int(said["rows_gone"]),
            peak_bytes=told.peak_bytes,
            work_s=said["work_s"],
            scan=said.get("scan") or "",  # versions before 0.2 do not say it
        )

    def first(self) -> int:
        """Make the first snapshot."""
        return self.backup().bytes_new

    def hourly(self) -> int:
        """Make another snapshot."""
        return self.backup().bytes_new

    def restore(self, target: ScratchCluster) -> str:
        """Restore as on disaster day: from the folder and the passphrase."""
        return self.restore_snapshot(target, self.choice)

    def restore_snapshot(self, target: ScratchCluster, choice: str) -> str:
        """Restore one snapshot, which also counts its rows, and return the database's name there."""
        name = "mastodon_restored"
        told = permafrost(
            *("restore", choice, f"--repository={self.restore_from}", f"--database={name}"),
            *(f"--passphrase-file={self._folder / 'passphrase'}", f"--server={target.conninfo('postgres')}"),
            f"--runbook={self._folder / 'runbook'}",
            source=self._source,
        )
        self.restore_peak_bytes = max(self.restore_peak_bytes, told.peak_bytes)
        return name
