"""Finds PostgreSQL's server programs, which are not on PATH where several major versions are installed."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.processes.program import Program
from permafrost.processes.run import run_checked

_FOLDERS = (
    (Path("/usr/lib/postgresql"), "*/bin"),  # Debian and its children
    (Path("/usr"), "pgsql-*/bin"),  # PostgreSQL's own packages for Red Hat
)
_NEEDED = ("initdb", "postgres")
_PARTS = ("bin", "lib", "lib32", "lib64", "sbin", "share", "usr")


def server_binaries(major: int | None = None) -> Path:
    """Return the folder of the server programs of version `major`, of the newest installed if None.

    Raise `ToolError` if there is none.
    """
    versions = _servers()
    wanted = max(versions, default=None) if major is None else major
    if wanted is None or wanted not in versions:
        package = "postgresql" if major is None else f"postgresql-{major}"
        raise ToolError(
            "no PostgreSQL server is installed here"
            if not versions
            else f"no PostgreSQL server of version {major} is installed here, "
            f"only of {', '.join(str(version) for version in sorted(versions))}",
            hint=f"install it, on Debian: apt-get install {package}",
        )
    return versions[wanted]


def installed_servers() -> list[int]:
    """Return the major versions whose server programs are installed, ascending."""
    return sorted(_servers())


def installation(binaries: Path) -> list[Path]:
    """Return the folders that the programs in `binaries` need, if they lie outside of where the system has its own.

    Each is there under the path it was asked for and under its real one, which programs may have been built with.
    """
    folders: list[Path] = []
    for one in dict.fromkeys((binaries, binaries.resolve())):
        if one.is_relative_to("/usr") and not one.is_relative_to("/usr/local"):
            continue
        unpacked = [parent.parent for parent in one.parents if parent.name == "usr" and parent != Path("/usr")]
        top = unpacked[-1] if unpacked else one.parent
        folders += [folder for name in _PARTS if (folder := top / name).is_dir()]
    return folders


def _servers() -> dict[int, Path]:
    folders = [folder for root, pattern in _FOLDERS for folder in root.glob(pattern)]
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    return {_major_of(folder): folder for folder in folders if all((folder / name).is_file() for name in _NEEDED)}


def _major_of(folder: Path) -> int:
    """Return the major version that the `postgres` in `folder` says it is ("postgres (PostgreSQL) 15.18")."""
    said = run_checked(Program((str(folder / "postgres"), "--version")), timeout_s=10).decode()
    found = re.search(r"\) (\d+)", said)
    if found is None:
        raise ToolError(f"{folder / 'postgres'} does not say its version: {said.strip()!r}")
    return int(found[1])


def client_program(name: str, server_major: int) -> str:
    """Return the path of pg_dump, pg_restore or psql that is at least as new as a server of `server_major`.

    pg_dump refuses a newer server, so PATH's is only taken if it will do. Debian's /usr/bin/pg_dump is a wrapper
    that guesses a version from the local clusters, so the real programs are looked for first, oldest fitting
    first. Raise `ToolError` if there is none.
    """
    folders = [folder for root, pattern in _FOLDERS for folder in root.glob(pattern)]
    on_path = shutil.which(name)
    found: dict[int, Path] = {}
    for candidate in (*(folder / name for folder in folders), *((Path(on_path),) if on_path else ())):
        if candidate.is_file():
            found.setdefault(_major_of_client(candidate), candidate)
    fitting = [major for major in found if major >= server_major]
    if not fitting:
        have = f"only for {', '.join(str(version) for version in sorted(found))}" if found else "not at all"
        raise ToolError(
            f"{name} for PostgreSQL {server_major} is required, but installed {have}",
            hint=f"install it, on Debian: apt-get install postgresql-client-{server_major}",
        )
    return str(found[min(fitting)])


@functools.cache
def _major_of_client(program: Path) -> int:
    said = run_checked(Program((str(program), "--version")), timeout_s=10).decode()
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0
