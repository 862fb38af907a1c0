"""A program that sees nothing of the machine but other programs, and what it is given: bubblewrap.

Rules kept here:
1. Namespaces of its own: no network, no other process, no shared memory or semaphores of others. There is no /proc.
2. A root folder of its own, read-only: the system's libraries, its programs if the caller wants them, a few files of
   /etc that they need, and the folders that the caller names. Nothing of /home, /root, /var, /run, /tmp, and no other
   file of /etc. Without programs there is no shell, so nothing can be started by COPY TO PROGRAM or archive_command.
3. No environment of ours, no rights but its user's, and none to be gained (no_new_privs).
4. It ends with us: the kernel kills it when bubblewrap's parent dies (prctl(2), PR_SET_PDEATHSIG: the parent is the
   thread that started it, so that thread has to live as long).

An ordinary user needs user namespaces for it. Root does without: it gives up every right but that to become the
program's user, which it then does.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.processes.proc import descendants
from permafrost.processes.program import Finished, Program, find_program

SANDBOX_PROGRAM = "bwrap"
_CHANGE_USER = "setpriv"
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PROGRAMS = ("bin", "sbin")
_NOT_OF_USR = ("etc", "games", "include", "local", "src")  # what an admin put there is nobody's business
_ETC = ("passwd", "group", "nsswitch.conf", "localtime", "ld.so.cache", "alternatives")
_NIX_STORE = Path("/nix/store")  # all programs of NixOS; everybody can read it anyway

_ISOLATED = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_HINT = (
    "an ordinary user needs user namespaces: sysctl kernel.unprivileged_userns_clone and"
    " kernel.apparmor_restrict_unprivileged_userns, RestrictNamespaces= of a systemd unit, or a container's settings"
    " may forbid them. Or run it as root, or, only if you trust everybody who can write to the database,"
    ' set [state] sandbox = "off"'
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a sandboxed program sees besides the system's programs, each under its own path.

    `readable` and `writable` are files and folders, all of which exist. `user` is the system user that the program runs
    as; only root may name another than itself. Unless it `has_programs`, the program itself is all that can be started.
    """

    readable: Sequence[Path]
    writable: Sequence[Path]
    user: str | None = None
    has_programs: bool = True


def check_sandbox() -> None:
    """Return if bubblewrap is installed; raise `ToolError` with the package to install if not."""
    try:
        find_program(SANDBOX_PROGRAM)
    except ToolError as error:
        raise ToolError(
            f"a snapshot's own code would run without a sandbox: {error.message}",
            hint=f"{error.hint}. Or, only if you trust everybody who can write to the database,"
            ' set [state] sandbox = "off"',
            unchanged="nothing was started",
        ) from error


def sandboxed(program: Program, sandbox: Sandbox) -> Program:
    """Return `program` (with an absolute path) to be started in the sandbox; its `environment` is all that it has."""
    binds = [
        *_system_binds(has_programs=sandbox.has_programs),
        *_binds("--ro-bind", [*sandbox.readable, *_needed_programs(program, sandbox)]),
        *_binds("--bind", sandbox.writable),
    ]
    shown = [Path(word) for bind in binds for word in bind[2:3]]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", **program.environment}
    words = [
        *(SANDBOX_PROGRAM, "--die-with-parent", "--clearenv", *_ISOLATED),
        *(() if _changes_user(sandbox) else ("--unshare-user",)),
        *(word for name, value in environment.items() for word in ("--setenv", name, value)),
        *("--dev", "/dev"),  # first: it would hide a folder that the program was given in /dev/shm
        *(word for parent in _parents_of(shown) for word in ("--dir", str(parent))),
        *(word for bind in binds for word in bind),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"),
        *_as_user(sandbox),
        *program.argv,
    ]
    return Program(tuple(words), pass_fds=program.pass_fds)


def explain_sandbox(finished: Finished) -> ToolError | None:
    """Return the error that bubblewrap's own failure means, None if it was the program's."""
    said = finished.stderr_tail.strip()
    if finished.returncode == 0 or not said.startswith((f"{SANDBOX_PROGRAM}: ", f"{_CHANGE_USER}: ")):
        return None
    return ToolError(f"no sandbox can be made here: {said}", hint=_HINT, unchanged="nothing was started")


def enclosed_pid(sandbox_pid: int) -> int | None:
    """Return the process id, outside of the sandbox, of the program in it; None if it has not started or has ended.

    Between the two is bubblewrap's own first process, which stays with its rights so that the kernel ends it with us: a
    process that changes its user loses PR_SET_PDEATHSIG.
    """
    return next(iter(descendants(sandbox_pid)[1:]), None)


def _changes_user(sandbox: Sandbox) -> bool:
    return sandbox.user is not None and os.geteuid() == 0


def _as_user(sandbox: Sandbox) -> tuple[str, ...]:
    """Return the words with which root becomes the program's user, as the last thing that it can do."""
    if not _changes_user(sandbox):
        return ("--",)
    entry = pwd.getpwnam(str(sandbox.user))
    return (
        *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"),
        *(find_program(_CHANGE_USER), f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all", "--"),
    )


def _needed_programs(program: Program, sandbox: Sandbox) -> list[Path]:
    """Return the programs to start with, where the folders they lie in are left out."""
    if sandbox.has_programs:
        return []
    started = [Path(program.argv[0]), *([Path(find_program(_CHANGE_USER))] if _changes_user(sandbox) else [])]
    return [place for place in started if set(_PROGRAMS) & set(place.parts[1:3])]


def _system_binds(*, has_programs: bool) -> Iterator[tuple[str, str, str]]:
    left_out = () if has_programs else _PROGRAMS
    for name in _SYSTEM:
        folder = Path("/", name)
        if name in left_out:
            continue
        if folder.is_symlink():
            yield "--symlink", str(folder.readlink()), str(folder)
        elif name == "usr":
            names = {part.name for part in folder.iterdir()} - {*_NOT_OF_USR, *left_out}
            yield from _binds("--ro-bind", [folder / part for part in sorted(names)])
        elif folder.is_dir():
            yield "--ro-bind", str(folder), str(folder)
    yield from _binds("--ro-bind", [path for name in _ETC if (path := Path("/etc", name)).exists()])
    if _NIX_STORE.is_dir():
        yield from _binds("--ro-bind", [_NIX_STORE])


def _binds(how: str, paths: Iterable[Path]) -> Iterator[tuple[str, str, str]]:
    for path in paths:
        yield how, str(path), str(path)


def _parents_of(paths: Iterable[Path]) -> list[Path]:
    """Return the folders above `paths`, from the top; as bubblewrap may close those that it makes to others."""
    above = {parent for path in paths for parent in path.parents if parent != Path("/")}
    return sorted(above - set(paths))
