"""Recipients' keys: those that cannot encrypt, or are not who their file's name says, are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from permafrost.config.models import Encryption
from permafrost.errors import KeyFileError
from permafrost.openpgp.recipients import check_recipients, recipient_faults
from tests.fixtures.recipients import Recipient, new_recipient

SIGNS = ("ed25519", "sign", "never")
UNUSABLE = {
    "only signs": ((SIGNS, ()), "it has no encryption subkey"),
    "expired": ((("ed25519", "sign", "10d"), ("cv25519", "encr", "10d")), "the key expired on 2020-01-11"),
    "expired subkey": ((SIGNS, ("cv25519", "encr", "10d")), "encryption subkey expired on 2020-01-11"),
}


def encryption_to(folder: Path, *fingerprints: str) -> Encryption:
    """Return a configuration's section with these recipients."""
    return Encryption(recipients=fingerprints, recipients_dir=folder)


def test_usable_keys(tmp_path: Path, recipient: Recipient, other_recipient: Recipient) -> None:
    """Keys that can encrypt have no fault, and a passphrase has none either."""
    names = [one.put_into(tmp_path / "keys") for one in (recipient, other_recipient)]
    check_recipients(encryption_to(tmp_path / "keys", *names))
    assert recipient_faults(Encryption(passphrase_file=tmp_path)) == []


@pytest.mark.parametrize("kind", UNUSABLE)
def test_keys_that_cannot_encrypt(tmp_path: Path, kind: str) -> None:
    """A key that only signs or has expired is named, with the reason and what to do."""
    (primary, subkey), reason = UNUSABLE[kind]
    made = new_recipient(primary, subkey)
    with pytest.raises(KeyFileError, match=reason) as caught:
        check_recipients(encryption_to(tmp_path, made.put_into(tmp_path)))
    assert made.fingerprint in caught.value.message
    assert "--quick-set-expire" in caught.value.hint


def test_a_revoked_key(tmp_path: Path) -> None:
    """A key that its owner has revoked is refused."""
    made = new_recipient(SIGNS, ("cv25519", "encr", "never"), is_revoked=True)
    (fault,) = recipient_faults(encryption_to(tmp_path, made.put_into(tmp_path)))
    assert fault.endswith("the key was revoked")


def test_an_exchanged_key(tmp_path: Path, recipient: Recipient, other_recipient: Recipient) -> None:
    """A file with another key than its name says, with two keys or with none is refused."""
    file = tmp_path / f"{recipient.fingerprint}.asc"
    section = encryption_to(tmp_path, recipient.fingerprint)
    file.write_bytes(other_recipient.public)
    assert f"contains the key {other_recipient.fingerprint}" in recipient_faults(section)[0]
    for content in (recipient.public + other_recipient.public, b"no key", b""):
        file.write_bytes(content)
        assert "contains no OpenPGP key, or more than one" in recipient_faults(section)[0]
    file.unlink()
    assert "No such file" in recipient_faults(section)[0]
