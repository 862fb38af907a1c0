"""The recipients' public keys: each file holds the key that its name says, and that key can encrypt.

gpg encrypts to whatever key is in a file that it is given, so a file that was exchanged would go unnoticed. A key's
fingerprint covers the primary key, and that one's signature its subkeys: if the fingerprint is right, nobody but the
key's owner can have added a subkey to read with.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from permafrost.config.models import Encryption
from permafrost.errors import KeyFileError
from permafrost.openpgp.home import CLOCK_IS_BEHIND, gpg, temporary_home
from permafrost.processes.run import run
from permafrost.small_files import read_named

KEY_BYTES = 1 << 20
"""A key with hundreds of certifications has a tenth of it."""
_TIMEOUT_S = 60.0
_ASK = "ask its owner for an extended one (gpg --quick-set-expire FINGERPRINT 5y '*'), or choose another recipient"
_ENDED = {"e": "expired", "r": "was revoked"}


def check_recipients(encryption: Encryption) -> None:
    """Return if objects can be sealed to every recipient; raise `KeyFileError` for those to whom they cannot."""
    if faults := recipient_faults(encryption):
        raise KeyFileError("; ".join(faults), unchanged="everything", hint=_ASK)


def recipient_faults(encryption: Encryption) -> list[str]:
    """Return why objects cannot be sealed to the recipients, by file; an empty list if they can, or there are none."""
    if encryption.recipients_dir is None:
        return []
    with temporary_home() as home:
        files = ((encryption.recipients_dir / f"{name}.asc", name) for name in encryption.recipients)
        return [f"{file}: {fault}" for file, name in files if (fault := _fault_of(home, file, name))]


def _fault_of(home: Path, file: Path, fingerprint: str) -> str:
    """Return why the key in `file` does not do, "" if it does."""
    try:
        content = read_named(file, KEY_BYTES)  # where links lead is the admin's choice: NixOS has them
    except OSError as error:
        return error.strerror or "cannot be read"
    finished = run(gpg(home, "--no-autostart", "--with-colons", "--show-keys"), stdin=content, timeout_s=_TIMEOUT_S)
    lines = [line.split(":") for line in finished.stdout.decode("utf-8", "replace").splitlines()]
    keys = [(line, after[9].upper()) for line, after in pairwise(lines) if line[0] == "pub" and after[0] == "fpr"]
    if len(keys) != 1:
        return "contains no OpenPGP key, or more than one"
    ((primary, found),) = keys
    if found != fingerprint:
        return f"contains the key {found}, and not the one that its name says"
    if "E" in primary[11] and primary[1] not in _ENDED:  # capitals: what the whole key can do (gnupg, doc/DETAILS)
        return ""
    if CLOCK_IS_BEHIND in finished.stderr_tail:
        return "by the clock of this machine the key is not made yet: set the clock (timedatectl)"
    return next(_reasons(primary, lines), "the key cannot encrypt: it has no encryption subkey")


def _reasons(primary: list[str], lines: list[list[str]]) -> Iterator[str]:
    """Yield why a key cannot encrypt, as far as the primary key or its encryption subkeys have ended."""
    if primary[1] in _ENDED:
        yield f"the key {_how_it_ended(primary)}"
    for line in lines:
        if line[0] == "sub" and "e" in line[11] and line[1] in _ENDED:
            yield f"the key's encryption subkey {_how_it_ended(line)}"


def _how_it_ended(line: list[str]) -> str:
    if line[1] == "e" and line[6].isdigit():
        return f"expired on {datetime.fromtimestamp(int(line[6]), UTC):%Y-%m-%d}"
    return _ENDED[line[1]]
