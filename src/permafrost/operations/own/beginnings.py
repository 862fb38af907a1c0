"""What both ways of setting a server up begin with: its signing key and its key check, and who it runs as."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from permafrost.config.checking import check_files
from permafrost.config.models import Configuration
from permafrost.errors import ConfigurationError
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.recipients import check_recipients
from permafrost.openpgp.sealing import PassphraseSealing
from permafrost.openpgp.signing import export_public_key, generate_signing_key
from permafrost.repository.durable import write_new_file
from permafrost.repository.key_check import write_key_check
from permafrost.repository.repository import Repository

SECRET_MODE = 0o600
_NOT_OF_THE_KEY = ("S.*", "*.lock", ".#*", "*~")  # sockets, locks and backup copies that gpg leaves in its home


def build_signing_key(place: Path, server: str) -> tuple[str, bytes]:
    """Make the key in a temporary home, and copy the home to `place`; return fingerprint and public key.

    A staging folder's path may be too long for gpg-agent's socket (108 bytes, unix(7)).
    """
    with temporary_home() as home:
        fingerprint = generate_signing_key(home, f"permafrost {server}")
        public_key = export_public_key(home, fingerprint)
        place.mkdir(mode=0o700)
        for path in sorted(home.rglob("*")):
            if any(path.match(pattern) for pattern in _NOT_OF_THE_KEY):
                continue
            target = place / path.relative_to(home)
            if path.is_dir():
                target.mkdir(mode=0o700)
            elif path.is_file():
                write_new_file(target, path.read_bytes(), SECRET_MODE)
    return fingerprint, public_key


def write_first_key_check(repository: Repository, passphrase_file: Path, gnupg_home: Path) -> None:
    """Hold the first backup to the passphrase that is on the recovery sheet."""
    with temporary_home() as home:
        write_key_check(repository, PassphraseSealing(passphrase_file), home, gnupg_home)


def refuse_unusable_recipients(configuration: Configuration) -> None:
    """Return if the public key of every recipient is there and can encrypt; raise `ConfigurationError` if not."""
    faults = [message for key, message in check_files(configuration) if key == "encryption.recipients_dir"]
    if not faults:
        check_recipients(configuration.encryption)
    else:
        raise ConfigurationError(
            "; ".join(faults),
            hint="create each public key file: gpg --armor --export FINGERPRINT > FINGERPRINT.asc",
            unchanged="everything; nothing was created",
        )


def own_name() -> str:
    """Return the name of the user that this runs as, which libpq takes where no other is given."""
    return pwd.getpwuid(os.geteuid()).pw_name
