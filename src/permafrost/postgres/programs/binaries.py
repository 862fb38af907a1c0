"""Finds PostgreSQL's server programs, which are not on PATH where several major versions are installed.

A candidate that does not say its version is no candidate: of a PostgreSQL that was removed, scripts may be left.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.processes.program import Program
from permafrost.processes.run import run_checked

_FOLDERS = (
    (Path("/usr/lib/postgresql"), "*/bin"),  # Debian and its children
    (Path("/usr"), "pgsql-*/bin"),  # PostgreSQL's own packages for Red Hat
    (Path("/usr/libexec"), "postgresql*"),  # Alpine
)
_VERSION_S = 60  # a loaded machine takes seconds to start any program
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
    for place in dict.fromkeys((binaries, binaries.resolve())):
        if place.is_relative_to("/usr") and not place.is_relative_to("/usr/local"):
            continue
        unpacked = [parent.parent for parent in place.parents if parent.name == "usr" and parent != Path("/usr")]
        top = unpacked[-1] if unpacked else place.parent
        folders += [folder for name in _PARTS if (folder := top / name).is_dir()]
    return folders


def _servers() -> dict[int, Path]:
    folders = list(installed_folders())
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    whole = [folder for folder in folders if all((folder / name).is_file() for name in _NEEDED)]
    return {major: folder for folder in whole if (major := major_of(folder / "postgres")) is not None}


def installed_folders() -> Iterator[Path]:
    """Yield the folders in which systems keep PostgreSQL's programs of one major version each."""
    for root, pattern in _FOLDERS:
        yield from root.glob(pattern)


@functools.cache
def major_of(program: Path) -> int | None:
    """Return the major version that a program says it is of ("pg_dump (PostgreSQL) 15.18"), None if it says none."""
    try:
        said = run_checked(Program((str(program), "--version")), timeout_s=_VERSION_S).decode("utf-8", "replace")
    except ToolError:
        return None
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else None
