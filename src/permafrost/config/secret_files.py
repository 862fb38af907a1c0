"""Secrets come only from files, and only from files that nobody else can read, or from systemd's credentials."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from permafrost.config.credentials import is_credential
from permafrost.errors import KeyFileError

_ALLOWED_MODES = (0o400, 0o600)
_CREDENTIAL_MODE = 0o440
_MAX_BYTES = 1 << 16


def read_secret_file(path: Path) -> str:
    """Return the first line of the secret file `path`, without its line end.

    Raise `KeyFileError` unless it is a regular file (or a link to one) of ours or root's, with mode 0400 or
    0600 (a credential of root's may have 0440), and that line holds something. Checked on the open file, so that it
    cannot be exchanged in between.
    """
    try:
        # without O_NONBLOCK a named pipe would be waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileError(
            f"cannot read the secret file {path}: {error.strerror}",
            hint=_missing_hint(path),
        ) from error
    try:
        _check_status(path, os.fstat(descriptor))
        first_line = os.read(descriptor, _MAX_BYTES).partition(b"\n")[0].rstrip(b"\r")
    finally:
        os.close(descriptor)
    if not first_line.strip():
        raise KeyFileError(f"the secret file {path} is empty", hint="its first line must be the secret")
    try:
        return first_line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise KeyFileError(f"the secret file {path} is not UTF-8 text") from error


def _check_status(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"the secret file {path} is not a regular file")
    mode = stat.S_IMODE(status.st_mode)
    is_roots_credential = mode == _CREDENTIAL_MODE and status.st_uid == 0 and is_credential(path, os.environ)
    if mode not in _ALLOWED_MODES and not is_roots_credential:
        fault = "is open to other users" if mode & 0o077 else "has an unusual mode"
        raise KeyFileError(
            f"the secret file {path} {fault} (mode {mode:04o}, allowed are 0400 and 0600)",
            hint=f"chmod 0600 {path}"
            + ("; and consider the secret known to anyone who could read it" if mode & 0o077 else ""),
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise KeyFileError(
            f"the secret file {path} belongs to user id {status.st_uid}, neither to you ({os.geteuid()}) nor to root",
            hint=_owner_hint(path, status.st_uid),
        )


def _missing_hint(path: Path) -> str:
    if path.is_relative_to("/run/credentials") and "CREDENTIALS_DIRECTORY" not in os.environ:
        return f"it exists while the service runs, for the service's user: systemctl start {path.parent.name}"
    return "the configuration names it; restore it from the recovery sheet, or correct the path"


def _owner_hint(path: Path, owner_id: int) -> str:
    """Return how to read somebody else's secret file: as its owner, and not by taking it away from the service."""
    try:
        owner = pwd.getpwuid(owner_id).pw_name
    except KeyError:
        return f"chown {os.geteuid()} {path}: no user has the id {owner_id}"
    return f"run it as the file's owner: sudo -u {owner} permafrost ..."
