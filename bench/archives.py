"""What a user would pick instead: a compressed archive through gpg, restic, and borg, each given pg_dump's stream."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bench.programs import gpg_with_passphrase, pipe
from bench.systems import PublishedSetup
from permafrost.postgres.programs.clients import client_program
from permafrost.postgres.programs.scratch import ScratchCluster


class _OfADump:
    """What all of them have in common: a dump comes in, and psql or pg_restore makes a database of it."""

    def __init__(self, folder: Path, conninfo: str, server_major: int) -> None:
        folder.mkdir()
        self.stored = folder / "stored"
        self._folder = folder
        self._database = str(conninfo_to_dict(conninfo)["dbname"])
        self._pg_dump = (client_program("pg_dump", server_major), f"--dbname={conninfo}")
        self._psql = (client_program("psql", server_major), "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1")
        self._pg_restore = client_program("pg_restore", server_major)

    @property
    def plain_dump(self) -> tuple[str, ...]:
        """The program whose output restic and borg are given."""
        return (*self._pg_dump, "-C")

    def server_of_restore(self, target: ScratchCluster) -> int | None:
        """Return the process id of the server that is restored to."""
        return target.pid

    def discard(self, target: ScratchCluster) -> None:
        """Drop what was restored."""
        with psycopg.connect(target.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self._database)))

    def _server(self, target: ScratchCluster) -> dict[str, str]:
        return {"PGHOST": str(target.socket_folder), "PGUSER": "postgres", "PGDATABASE": "postgres"}

    def _analysed(self, target: ScratchCluster) -> str:
        conninfo = target.conninfo(self._database)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("ANALYZE")
        return conninfo


class ZstdArchive(_OfADump):
    """`pg_dump -Fc -Z0 | zstd | gpg -c` in one pipe, and back by `pg_restore` from a pipe, so with one job."""

    name = "pg_dump -Fc -Z0, zstd, gpg"

    def __init__(self, folder: Path, conninfo: str, server_major: int, gpg_home: Path) -> None:
        super().__init__(folder, conninfo, server_major)
        self.stored.mkdir()
        self._sealed = self.stored / "mastodon.dump.zst.gpg"
        self._gpg = (*gpg_with_passphrase(folder / "passphrase", gpg_home), "--compress-algo", "none")

    def backup(self) -> None:
        """Dump, compress and encrypt."""
        pipe((*self._pg_dump, "-Fc", "-Z0"), ("zstd", "-q"), (*self._gpg, "-c"), target=self._sealed)

    def restore(self, target: ScratchCluster) -> str:
        """Decrypt, decompress, restore, analyse; return how to connect."""
        restore = (self._pg_restore, "--exit-on-error", "--create", f"--dbname={target.conninfo('postgres')}")
        pipe((*self._gpg, "-d"), ("zstd", "-dcq"), restore, source=self._sealed)
        return self._analysed(target)


class Restic(_OfADump):
    """`pg_dump -C | restic backup --stdin` into an encrypted repository with restic's own settings."""

    name = "restic"

    def __init__(self, folder: Path, conninfo: str, server_major: int) -> None:
        super().__init__(folder, conninfo, server_major)
        self._keys = {
            "RESTIC_PASSWORD": secrets.token_hex(20),
            "RESTIC_CACHE_DIR": str(folder / "cache"),
            "TZ": "UTC",  # --time is local time
        }
        self._restic = ("restic", "--quiet", "--repo", str(self.stored))
        pipe((*self._restic, "init"), extra=self._keys)

    def backup(self, *more: str, dump: Sequence[str] = ()) -> None:
        """Dump into restic; `dump` is a program that gives the dump, if it is made elsewhere."""
        words = ("backup", "--stdin", "--stdin-filename", "mastodon.sql", "--host", "bench", *more)
        pipe(dump or self.plain_dump, (*self._restic, *words), extra=self._keys)

    def backup_at(self, moment: datetime, dump: Sequence[str] = ()) -> None:
        """Dump into restic, as if it were that moment."""
        self.backup(f"--time={moment:%Y-%m-%d %H:%M:%S}", dump=dump)

    def keep(self, hourly: int, daily: int) -> None:
        """Keep so many of its backups, and remove what no other needs."""
        rules = (f"--keep-hourly={hourly}", f"--keep-daily={daily}")
        pipe((*self._restic, "forget", *rules, "--prune"), extra=self._keys)

    def count(self) -> int:
        """Return how many backups there are."""
        return sum(1 for _ in (self.stored / "snapshots").iterdir())

    def restore(self, target: ScratchCluster) -> str:
        """Give what restic kept to psql, and analyse; return how to connect."""
        dump = (*self._restic, "dump", "latest", "mastodon.sql")
        pipe(dump, self._psql, extra={**self._keys, **self._server(target)})
        return self._analysed(target)


class Borg(_OfADump):
    """`pg_dump -C | borg create --compression zstd,3` into a repository with repokey-blake2."""

    name = "borg"

    def __init__(self, folder: Path, conninfo: str, server_major: int) -> None:
        super().__init__(folder, conninfo, server_major)
        self._number = 0
        self._keys = {
            "BORG_PASSPHRASE": secrets.token_hex(20),
            "BORG_BASE_DIR": str(folder / "home"),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "TZ": "UTC",  # its days are local ones
        }
        pipe(("borg", "init", "--encryption=repokey-blake2", str(self.stored)), extra=self._keys)

    def backup(self, *more: str, dump: Sequence[str] = ()) -> None:
        """Dump into borg; `dump` is a program that gives the dump, if it is made elsewhere."""
        self._number += 1
        archive = f"{self.stored}::{self._number}"
        create = ("borg", "create", "--compression=zstd,3", "--stdin-name=mastodon.sql", *more, archive, "-")
        pipe(dump or self.plain_dump, create, extra=self._keys)

    def backup_at(self, moment: datetime, dump: Sequence[str] = ()) -> None:
        """Dump into borg, as if it were that moment."""
        self.backup(f"--timestamp={moment:%Y-%m-%dT%H:%M:%S}", dump=dump)

    def keep(self, hourly: int, daily: int) -> None:
        """Keep so many of its backups, and remove what no other needs."""
        rules = (f"--keep-hourly={hourly}", f"--keep-daily={daily}")
        pipe(("borg", "prune", *rules, str(self.stored)), extra=self._keys)
        pipe(("borg", "compact", str(self.stored)), extra=self._keys)

    def count(self) -> int:
        """Return how many backups there are."""
        names = self._folder / "names"
        pipe(("borg", "list", "--short", str(self.stored)), target=names, extra=self._keys)
        return len(names.read_text().splitlines())

    def restore(self, target: ScratchCluster) -> str:
        """Give what borg kept to psql, and analyse; return how to connect."""
        extract = ("borg", "extract", "--stdout", f"{self.stored}::{self._number}")
        pipe(extract, self._psql, extra={**self._keys, **self._server(target)})
        return self._analysed(target)


def give_to_server(folder: Path) -> None:
    """Make the folder, if it is not there, and the server's own where that is another user."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        pipe(("chown", "postgres:postgres", str(folder)))


class Published(_OfADump):
    """The published set-up, taken like the others."""

    name = PublishedSetup.name

    def __init__(self, folder: Path, conninfo: str, server_major: int, gpg_home: Path) -> None:
        super().__init__(folder, conninfo, server_major)
        self._setup = PublishedSetup(folder / "files", conninfo, gpg_home, server_major)
        self.stored = self._setup.stored

    def backup(self) -> None:
        """Dump, compress, then encrypt."""
        self._setup.first()

    def restore(self, target: ScratchCluster) -> str:
        """Decrypt, decompress, give it to psql, and analyse; return how to connect."""
        self._setup.restore(target)
        return self._analysed(target)
