"""A backup seals with the key of its repository, or not at all: a key that was exchanged is noticed before any use."""

from __future__ import annotations

from pathlib import Path

from permafrost.config.models import Configuration, Encryption
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import ConfigurationError, KeyFileError
from permafrost.events import Reporter, Warned
from permafrost.openpgp.passphrase_strength import weakness_of
from permafrost.openpgp.recipients import check_recipients
from permafrost.openpgp.sealing import Sealing
from permafrost.repository.key_check import KeyVerdict, judge_key, write_key_check
from permafrost.repository.repository import Repository

NEXT_KEY = ".next"
"""What a passphrase file's name ends in until `permafrost rekey` has given the new passphrase its place."""


def next_passphrase_file(encryption: Encryption) -> Path | None:
    """Return where a new passphrase waits while the key is changed; None if there is no passphrase."""
    file = encryption.passphrase_file
    return file.with_name(file.name + NEXT_KEY) if file is not None else None


def warn_of_weak_passphrase(encryption: Encryption, report: Reporter) -> None:
    """Warn if there is a passphrase that can be guessed."""
    file = encryption.passphrase_file
    if file is not None and (weakness := weakness_of(read_secret_file(file), file)):
        report(Warned(weakness))


def check_signing_key(configuration: Configuration, repository: Repository) -> None:
    """Return if the configuration trusts the repository's signing key; raise `ConfigurationError` if another."""
    if configuration.signing.fingerprint not in (None, repository.fingerprint):
        raise ConfigurationError(
            f"[signing] fingerprint is {configuration.signing.fingerprint}, and the repository at {repository.path} "
            f"was made for {repository.fingerprint}",
            hint="use the configuration that init created with this repository, or create a new repository",
        )


def check_sealing_key(
    configuration: Configuration, repository: Repository, sealing: Sealing, home: Path, report: Reporter
) -> bool:
    """Return whether the key check has to be made once a snapshot is published; False if it is there and right.

    Raise `KeyFileError` if the repository is sealed with another key, or a recipient's key cannot be used. What a
    change of key that was cut short has left is reported.
    """
    check_recipients(configuration.encryption)
    waiting = next_passphrase_file(configuration.encryption)
    if waiting is not None and waiting.exists():
        report(
            Warned("a change of the passphrase was cut short: backups use the old one; permafrost rekey finishes it")
        )
    verdict = judge_key(repository, sealing, home, configuration.signing.fingerprint)
    is_as_made = _is_as_made(configuration, repository)
    if verdict is KeyVerdict.OTHER or (verdict is KeyVerdict.UNPROVEN and not is_as_made):
        raise _another_key(configuration.encryption)
    warn_of_weak_passphrase(configuration.encryption, report)  # of another key, it would advise to change the right one
    return verdict is not KeyVerdict.SAME or not is_as_made


def is_own_key(configuration: Configuration, repository: Repository, sealing: Sealing, home: Path) -> bool:
    """Return whether the key check is that of the configured key, and repository.json names it."""
    verdict = judge_key(repository, sealing, home, configuration.signing.fingerprint)
    return verdict is KeyVerdict.SAME and _is_as_made(configuration, repository)


def adopt_key(configuration: Configuration, repository: Repository, sealing: Sealing, home: Path) -> None:
    """Make key check and repository.json be those of `sealing`, the configured key. Only for a holder of the lock."""
    write_key_check(repository, sealing, home, configuration.signing.gnupg_home)
    recipients = configuration.encryption.recipients
    repository.seal_from_now_on("recipients" if recipients else "passphrase", recipients)


def _is_as_made(configuration: Configuration, repository: Repository) -> bool:
    """Return whether the configuration seals in the way that the repository was made for."""
    made_for = (repository.facts.sealing, sorted(repository.facts.recipients))
    recipients = configuration.encryption.recipients
    return made_for == ("recipients" if recipients else "passphrase", sorted(recipients))


def _another_key(encryption: Encryption) -> KeyFileError:
    what = (
        f"the passphrase in {encryption.passphrase_file} is not the one that this repository is sealed with"
        if encryption.passphrase_file is not None
        else "[encryption] recipients are not those to whom this repository is sealed"
    )
    back = "its place from the recovery sheet" if encryption.passphrase_file is not None else "the configuration"
    return KeyFileError(
        f"{what}: nothing was backed up with it",
        hint=f"if you did not change it, somebody else did: look at this machine, and put the right one back into "
        f"{back}. If you did, on purpose: permafrost rekey --as-configured",
    )
