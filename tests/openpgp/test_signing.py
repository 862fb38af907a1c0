"""Signatures: one, good, by the expected key; anything else is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from permafrost.errors import IntegrityError, KeyFileError
from permafrost.openpgp.fingerprints import in_groups
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.signing import Verifier, export_public_key, generate_signing_key, sign_detached
from tests.fixtures.server import SigningKey

DATA = b"# permafrost objects 1\n"


@pytest.fixture
def verifier(signing_key: SigningKey) -> Iterator[Verifier]:
    """A verifier for the tests' key."""
    with temporary_home() as home:
        yield Verifier(home, signing_key.public_key, signing_key.fingerprint)


@pytest.fixture(scope="module")
def stranger() -> Iterator[tuple[Path, str]]:
    """Another key's home and fingerprint."""
    with temporary_home() as home:
        yield home, generate_signing_key(home / "gnupg", "stranger")


@pytest.mark.format("4.3")
def test_round_trip(verifier: Verifier, signing_key: SigningKey) -> None:
    """A signature is valid for its data and for no other; the agent that gpg started is gone."""
    signature = sign_detached(signing_key.home, signing_key.fingerprint, DATA)
    assert signature.startswith(b"-----BEGIN PGP SIGNATURE-----")
    assert verifier.is_valid(DATA, signature)
    assert not verifier.is_valid(DATA + b"x", signature)
    assert not list(signing_key.home.glob("S.gpg-agent"))


@pytest.mark.format("4.3", "1.2")
def test_another_keys_signature(verifier: Verifier, stranger: tuple[Path, str]) -> None:
    """A good signature by another key is not valid."""
    home, fingerprint = stranger
    assert not verifier.is_valid(DATA, sign_detached(home / "gnupg", fingerprint, DATA))


@pytest.mark.format("4.3")
def test_two_signatures(verifier: Verifier, signing_key: SigningKey, stranger: tuple[Path, str]) -> None:
    """Two signatures in one file are not one good one, even if one of them is good."""
    good = sign_detached(signing_key.home, signing_key.fingerprint, DATA)
    other = sign_detached(stranger[0] / "gnupg", stranger[1], DATA)
    assert not verifier.is_valid(DATA, good + other)
    assert not verifier.is_valid(DATA, other + good)


@pytest.mark.parametrize("signature", [b"", b"nonsense", os.urandom(200)])
def test_no_signature(verifier: Verifier, signature: bytes) -> None:
    """What is no signature is not valid, and is no defect either."""
    assert not verifier.is_valid(DATA, signature)


@pytest.mark.format("1.2")
def test_another_key_in_the_folder(stranger: tuple[Path, str], signing_key: SigningKey) -> None:
    """A key that is not the expected one is refused before anything is checked with it."""
    with temporary_home() as home, pytest.raises(IntegrityError, match=in_groups(signing_key.fingerprint)):
        Verifier(home, export_public_key(stranger[0] / "gnupg", stranger[1]), signing_key.fingerprint)


def test_key_not_there(tmp_path: Path, signing_key: SigningKey) -> None:
    """Signing with a home that lost its key is a key error with a hint."""
    empty = tmp_path / "gnupg"
    empty.mkdir(mode=0o700)
    with pytest.raises(KeyFileError) as caught:
        sign_detached(empty, signing_key.fingerprint, DATA)
    assert caught.value.hint
