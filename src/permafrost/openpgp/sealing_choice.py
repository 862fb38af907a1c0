"""The way of sealing that a configuration asks for, after checking the files that it names."""

from __future__ import annotations

from permafrost.config.models import Encryption
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import ConfigurationError
from permafrost.openpgp.sealing import PassphraseSealing, RecipientSealing, Sealing


def sealing_of(encryption: Encryption) -> Sealing:
    """Return how objects are sealed; raise `KeyFileError` or `ConfigurationError` if a key's file cannot be used."""
    if encryption.passphrase_file is not None:
        read_secret_file(encryption.passphrase_file)
        return PassphraseSealing(encryption.passphrase_file)
    assert encryption.recipients_dir is not None  # noqa: S101 - validated with the configuration
    files = tuple(encryption.recipients_dir / f"{fingerprint}.asc" for fingerprint in encryption.recipients)
    for file in files:
        if not file.is_file():
            raise ConfigurationError(
                f"the public key of a recipient is missing: {file}",
                hint="create it with: gpg --armor --export FINGERPRINT > FILE",
            )
    return RecipientSealing(files)
