"""How every program is started: by `launch` alone.

Rules kept here: argument tuples, never a shell; a built environment (`LC_ALL=C`, `PATH`, `HOME` and what the
caller adds); each program in a session of its own, so that it can be ended with all that it starts.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from permafrost.errors import ToolError
from permafrost.processes.program import Program, find_program

TERMINATE_GRACE_S = 5.0
"""How long a program may take to end after SIGTERM."""

_INHERITED = ("PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


def launch(
    program: Program,
    *,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes] = subprocess.PIPE,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Return the program, started in `folder` (None: ours), with these ends of its streams as in `subprocess.Popen`.

    Raise `ToolError` if it is not installed or cannot be started.
    """
    argv = [find_program(program.argv[0]), *program.argv[1:]]
    identity = _identity_of(program)
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=built_environment(program.environment),
            pass_fds=program.pass_fds,
            cwd=folder,
            user=identity.user,
            group=identity.group,
            extra_groups=identity.extra_groups,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"cannot start {program.name}: {error.strerror}") from error


def built_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that programs get: a few inherited names, `LC_ALL=C`, and `extra`."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "LC_ALL": "C", **extra}


@dataclass(frozen=True, slots=True)
class _Identity:
    """The ids a program starts with; None leaves ours."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def _identity_of(program: Program) -> _Identity:
    if program.user is None:
        return _Identity()
    try:
        entry = pwd.getpwnam(program.user)
    except KeyError as error:
        raise ToolError(f"there is no system user {program.user} to run {program.name} as") from error
    return _Identity(entry.pw_uid, entry.pw_gid, os.getgrouplist(program.user, entry.pw_gid))
