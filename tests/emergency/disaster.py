"""A repository as it is on disaster day: a copy of the folder that nobody can write to, and few programs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

from permafrost.config.models import (
    Configuration,
    Database,
    Encryption,
    RepositorySettings,
    Secrets,
    Signing,
    State,
)
from permafrost.events import ignore_events
from permafrost.openpgp.home import stop_agent
from permafrost.operations.backup import back_up
from permafrost.postgres.programs.binaries import server_binaries
from permafrost.repository.repository import Repository
from tests.fixtures.server import PASSPHRASE, SigningKey

SECRET = "OTP_SECRET=only-for-tests\n"


@dataclass(frozen=True)
class Disaster:
    """All that is left of a server: its repository and what the recovery sheet says, and a new PostgreSQL."""

    repository: Path
    fingerprint: str
    passphrase_file: Path | None
    secret_key_file: Path | None
    secret_name: str  # of the secret file, without the leading slash
    programs: Path  # a folder for PATH
    server: str  # a connection string for the new PostgreSQL
    source: str  # a connection string for the database that was backed up, to compare with

    @property
    def snapshot(self) -> str:
        """The id of the newest snapshot."""
        return max(path.name for path in (self.repository / "snapshots").glob("2*"))

    @property
    def objects(self) -> list[Path]:
        """The object files."""
        return sorted((self.repository / "objects").glob("*/*"))

    def run(self, *words: str, key: Path | None = None, fingerprint: str | None = None) -> Ended:
        """Run restore.py of the repository with this key, by default the right ones, on the few programs alone."""
        given = ["--fingerprint", self.fingerprint if fingerprint is None else fingerprint, "--server", self.server]
        if key or self.passphrase_file:
            given += ["--passphrase-file", str(key or self.passphrase_file)]
        if self.secret_key_file:
            given += ["--secret-key-file", str(self.secret_key_file)]
        return ended(
            (str(self.programs / "python3"), "-I", str(self.repository / "restore.py"), *words, *given),
            {"PATH": str(self.programs), "HOME": str(self.programs)},
        )


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    returncode: int
    stdout: str
    stderr: str


def ended(words: tuple[str, ...], environment: dict[str, str]) -> Ended:
    """Run a program in an environment of its own and return how it ended."""
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def bare_path(folder: Path) -> Path:
    """Fill a folder with nothing but the programs that restore.py may use."""
    folder.mkdir()
    postgres = server_binaries()  # Debian's /usr/bin/psql is a Perl script
    found = {"python3": str(Path(sys.executable).resolve())}
    found |= {name: str(postgres / name) for name in ("psql", "pg_restore")}
    found |= {name: shutil.which(name) or "" for name in ("gpg", "zstd")}
    for name, program in found.items():
        (folder / name).symlink_to(program)
    return folder


def back_up_to(
    folder: Path,
    url: str,
    signing_key: SigningKey,
    *,
    recipients_dir: Path | None = None,
    engine: Literal["log", "dump"] = "dump",
    changes: tuple[Callable[[], None], ...] = (),
) -> Path:
    """Make a repository with a snapshot of a database and of one secret file, and return its folder.

    It is sealed with the tests' passphrase, or to the public keys in `recipients_dir`. After each of the changes there
    is one snapshot more.
    """
    home = folder / "gnupg"
    shutil.copytree(signing_key.home, home, ignore=shutil.ignore_patterns("S.*"))
    secret = folder / ".env.production"
    secret.write_text(SECRET)
    secret.chmod(0o640)
    passphrase_file = folder / "passphrase"
    passphrase_file.write_text(PASSPHRASE + "\n")
    passphrase_file.chmod(0o600)
    recipients = tuple(file.stem for file in recipients_dir.iterdir()) if recipients_dir else ()
    repository = Repository.create(
        folder / "repository",
        sealing="recipients" if recipients else "passphrase",
        recipients=recipients,
        fingerprint=signing_key.fingerprint,
        signing_public_key=signing_key.public_key,
        now=datetime.now(UTC),
    )
    configuration = Configuration(
        database=Database(url=url, engine=engine),
        repository=RepositorySettings(path=repository.path),
        state=State(path=folder / "state"),
        encryption=Encryption(
            passphrase_file=None if recipients else passphrase_file,
            recipients=recipients,
            recipients_dir=recipients_dir,
        ),
        signing=Signing(gnupg_home=home, fingerprint=signing_key.fingerprint),
        secrets=Secrets(files=(secret,)),
    )
    try:
        back_up(configuration, is_audited=False, report=ignore_events, now=datetime.now(UTC))
        for number, change in enumerate(changes, 1):
            change()
            later = datetime.now(UTC) + timedelta(seconds=number)  # ids are in seconds
            back_up(configuration, is_audited=False, report=ignore_events, now=later)
    finally:
        stop_agent(home)
    return repository.path


def connection_variables(conninfo: str) -> dict[str, str]:
    """Return a connection string as PG* variables."""
    parts = conninfo_to_dict(conninfo)
    return {f"PG{name.upper()}": str(parts[name]) for name in ("host", "port", "user")}


def leftovers() -> list[str]:
    """Return the temporary gpg homes in memory and the agents that serve them, of anybody's restore.py."""
    homes = [str(home) for home in Path("/dev/shm").glob("permafrost-reader-????????")]  # noqa: S108 - where keys may be
    return homes + [line for line in _command_lines() if re.search(r"gpg-agent.*/permafrost-reader-\w{8}\0", line)]


def _command_lines() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            yield file.read_bytes().decode(errors="replace")
