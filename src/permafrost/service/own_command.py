"""How this program is started again: a service starts its jobs the way it was started itself.

A wrapper of Nix puts the dependencies into its script, a zipapp carries them, a virtual environment has them in its
interpreter. Only the program's own entry point knows which, so `python -m permafrost` is right only for a service that
was started like that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.processes.program import Program, ProgramFailedError
from permafrost.processes.run import run
from permafrost.service.sd_notify import without_service_manager

_PACKAGE = "permafrost"
_TRIAL = ("backup", "--help")
"""Imports what a backup imports, so that a missing dependency is noticed, and does nothing."""
_TRIAL_S = 60.0


def own_command() -> tuple[str, ...]:
    """Return the words that start this program once more; the command follows them."""
    started_as = getattr(sys.modules["__main__"], "__spec__", None)
    entry_point = Path(sys.argv[0]).absolute()
    is_module = started_as is not None and started_as.parent == _PACKAGE  # python -m permafrost
    if is_module or not entry_point.exists():  # python -c has no entry point
        return sys.executable, "-P", "-m", _PACKAGE
    if os.access(entry_point, os.X_OK):
        return (str(entry_point),)
    return sys.executable, str(entry_point)  # a zipapp without a #! line


def check_own_command() -> None:
    """Return if a job can be started; raise `ToolError`, which quotes the reason, if not.

    A service whose jobs all fail would otherwise look healthy until somebody misses the backups.
    """
    command = own_command()
    trial = Program((*command, *_TRIAL), without_service_manager(os.environ))
    try:
        finished = run(trial, timeout_s=_TRIAL_S)
        if finished.returncode != 0:
            raise ProgramFailedError(finished)
    except ToolError as error:
        reason = error.message.strip().splitlines()[-1]  # of a traceback the last line says what is missing
        raise ToolError(
            f"the service cannot start its own jobs: {reason}",
            unchanged="everything; no job was started",
            hint=f"{' '.join(command)} --version must work for this user; install permafrost again",
        ) from error
