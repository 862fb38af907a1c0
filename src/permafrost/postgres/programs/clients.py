"""Chooses pg_dump, pg_restore and psql among those installed, by what an archive and a server need.

1. pg_dump refuses a server that is newer than itself, so it is the oldest that is not older than the server.
2. pg_restore has to know the archive's format, and the format is the pg_dump's that wrote it, not the server's.
3. A pg_restore that is newer than the server it loads into begins with settings that the server may not know
   (`transaction_timeout`, PostgreSQL 17). So it is the newest that is not newer than the server, and only if none of
   those can read the archive the oldest that can; what it writes is then loaded by psql, without those settings.

Debian's /usr/bin/pg_dump is a wrapper that guesses a version from the machine's clusters, and fails where the programs
of one are gone. It is no candidate: the real programs are in folders of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.postgres.programs.binaries import installed_folders, major_of

_WRAPPER = "pg_wrapper"


@dataclass(frozen=True, slots=True)
class ClientProgram:
    """A program of PostgreSQL's and its major version."""

    path: str
    major: int

    def beside(self, name: str) -> ClientProgram:
        """Return another program of the same version; raise `ToolError` if it is not installed there."""
        other = Path(self.path).with_name(name)
        if not other.is_file():
            raise ToolError(
                f"{name} is not installed beside {self.path}",
                hint=f"install it, on Debian: apt-get install postgresql-client-{self.major}",
            )
        return ClientProgram(str(other), self.major)


def client_program(name: str, server_major: int) -> str:
    """Return the path of `client_of`."""
    return client_of(name, server_major).path


def client_of(name: str, server_major: int) -> ClientProgram:
    """Return the oldest pg_dump or psql that is not older than a server of `server_major`.

    Raise `ToolError` if there is none.
    """
    found = _installed(name)
    fitting = [major for major in found if major >= server_major]
    if not fitting:
        raise _missing(name, f"for PostgreSQL {server_major}", server_major, found)
    return ClientProgram(str(found[min(fitting)]), min(fitting))


def archive_reader(archive_major: int, server_major: int) -> ClientProgram:
    """Return the pg_restore for an archive that needs at least `archive_major`, to load into a server.

    It may be newer than the server. Raise `ToolError` if none can read the archive.
    """
    found = _installed("pg_restore")
    fitting = [major for major in found if major >= archive_major]
    if not fitting:
        why = f"of PostgreSQL {archive_major} or newer, whose pg_dump wrote the archive,"
        raise _missing("pg_restore", why, archive_major, found)
    known = [major for major in fitting if major <= server_major]
    major = max(known) if known else min(fitting)
    return ClientProgram(str(found[major]), major)


def _installed(name: str) -> Mapping[int, Path]:
    """Return the installed programs of this name that work, by major version."""
    candidates = [folder / name for folder in installed_folders()]
    on_path = shutil.which(name)
    if on_path is not None and Path(on_path).resolve().name != _WRAPPER:
        candidates.append(Path(on_path))
    found: dict[int, Path] = {}
    for candidate in candidates:
        if candidate.is_file() and (major := major_of(candidate)) is not None:
            found.setdefault(major, candidate)
    return found


def _missing(name: str, why: str, major: int, found: Mapping[int, Path]) -> ToolError:
    have = f"only for {', '.join(str(version) for version in sorted(found))}" if found else "not at all"
    return ToolError(
        f"{name} {why} is required, but installed {have}",
        hint=f"install it, on Debian: apt-get install postgresql-client-{major}",
    )
