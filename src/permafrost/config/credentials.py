"""Systemd credentials: secrets that the service manager passes, named in the configuration as `credential:NAME`.

A service finds its own in $CREDENTIALS_DIRECTORY. A command run by hand finds those of the running service, whose user
may read them too. Before systemd 256 a credential belongs to the service's user and has mode 0400; since then it is
root's, with mode 0440 and an access list, in a folder that nobody can write to: that mode is right there, and nowhere
else (systemd.exec(5), "Credentials").
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

PREFIX = "credential:"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,100}")
_UNITS = tuple(Path("/run/credentials", unit) for unit in ("permafrost.service", "permafrost-vault.service"))
_OF_OTHERS = 0o027
"""A folder that its group can write to, or that others can enter, is no folder of credentials."""


def credential_path(name: str, environment: Mapping[str, str]) -> Path:
    """Return where the credential `name` is, or would be; raise `ValueError` if that cannot be a credential's name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"must be {PREFIX}NAME, with a name of letters, digits, dots and hyphens")
    own = environment.get("CREDENTIALS_DIRECTORY")
    if own:
        return Path(own, name)
    return next((folder / name for folder in _UNITS if os.path.lexists(folder / name)), _UNITS[0] / name)


def names_credential(path: Path, environment: Mapping[str, str]) -> bool:
    """Return whether `path` is where a credential would be; only systemd puts files there."""
    own = environment.get("CREDENTIALS_DIRECTORY")
    return path.parent in _UNITS or (bool(own) and path.parent == Path(str(own)))


def is_credential(path: Path, environment: Mapping[str, str]) -> bool:
    """Return whether `path` lies in a folder of credentials that is closed as systemd closes it."""
    if not names_credential(path, environment):
        return False
    try:
        status = path.parent.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and not status.st_mode & _OF_OTHERS
