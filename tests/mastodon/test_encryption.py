"""Reading what Rails and Mastodon encrypted, on vectors that Ruby's OpenSSL made by the published algorithm.

They were made with OpenSSL::KDF.pbkdf2_hmac, OpenSSL::Cipher "aes-256-gcm", Zlib::Deflate and JSON of Ruby 3.1, step by
step as Active Record Encryption describes it; Rails itself was not at hand.
"""

from __future__ import annotations

import json
from random import Random

import pytest

from permafrost.mastodon.health.encryption import (
    EncryptionKeys,
    UnreadableValueError,
    decrypt,
    decrypt_old_second_factor,
)
from samples.encryption import ENCRYPTION_SETTINGS, encrypted

KEYS = EncryptionKeys("primary key of a test", "deterministic key of a test", "salt of a test")
SECOND_FACTOR = b"JBSWY3DPEHPK3PXP"
LONG = b"a private key, as long as one is. " * 40
SHA256 = '{"p":"Gf3CduYHGIbLc1qqHf2c4Q==","h":{"iv":"eBFxuTxJKDv47aA6","at":"u5X2OPKi/UQraoDimX+loQ=="}}'
SHA1 = '{"p":"UartXv6zNZTXnhOlYlh4Vw==","h":{"iv":"eBFxuTxJKDv47aA6","at":"D2wmGtploP3agG/akv/2aw=="}}'
DEFLATED = (
    '{"p":"KyPadZcclvrFF0O05uNpZRgyQjNVDU1yiILhi/WtsRk34HUQd3iJN0Cg3n5XMQYe9dhgpAA=",'
    '"h":{"iv":"eBFxuTxJKDv47aA6","at":"sPCjV0igLnp/C3YT1p6vKw==","c":true}}'
)
DETERMINISTIC = '{"p":"teSfvhXxRqzlExQu1bMaynd0REDX","h":{"iv":"umKDswPTy6jlJpLJ","at":"WWZYoJBS6MS/xbTGe2DFEA=="}}'
OLD = ("WaXlIZYdJ64Zu3qBgCRpWxT1IXXesDQEAi2aGE3d2p0=\n", "eBFxuTxJKDv47aA6\n", "_P6zwoMZ7h2U=\n")


@pytest.mark.parametrize(("stored", "text"), [(SHA256, SECOND_FACTOR), (SHA1, SECOND_FACTOR), (DEFLATED, LONG)])
def test_non_deterministic(stored: str, text: bytes) -> None:
    """Values are read whichever digest made the key, deflated or not."""
    assert decrypt(stored, KEYS) == text


def test_deterministic() -> None:
    """The deterministic scheme has its own key and a nonce made of the text; the other scheme's key fails."""
    assert decrypt(DETERMINISTIC, KEYS, is_deterministic=True) == b"somebody@mail.example"
    with pytest.raises(UnreadableValueError):
        decrypt(DETERMINISTIC, KEYS)
    same_key = EncryptionKeys(KEYS.primary, KEYS.primary, KEYS.salt)
    with pytest.raises(UnreadableValueError, match="nonce"):
        decrypt(SHA256, same_key, is_deterministic=True)


@pytest.mark.parametrize(
    "keys",
    [
        EncryptionKeys("another", KEYS.deterministic, KEYS.salt),
        EncryptionKeys(KEYS.primary, KEYS.deterministic, "another"),
    ],
)
def test_other_keys(keys: EncryptionKeys) -> None:
    """With another key or salt nothing is read."""
    with pytest.raises(UnreadableValueError, match="other keys"):
        decrypt(SHA256, keys)


@pytest.mark.parametrize(
    "stored", ["", "x", "{}", "[]", '{"p":"AA==","h":{}}', '{"p":"AA==","h":{"iv":"AA==","at":"AA=="}}']
)
def test_what_is_no_message(stored: str) -> None:
    """Anything that is not Rails' form is told as that."""
    with pytest.raises(UnreadableValueError):
        decrypt(stored, KEYS)


def test_one_changed_letter() -> None:
    """A damaged payload is not read."""
    message = json.loads(SHA256)
    message["p"] = "A" + message["p"][1:]
    with pytest.raises(UnreadableValueError):
        decrypt(json.dumps(message), KEYS)


def test_second_factors_before_4_3() -> None:
    """What OTP_SECRET protected is read with it, and with no other."""
    assert decrypt_old_second_factor(*OLD, "an OTP_SECRET") == SECOND_FACTOR
    with pytest.raises(UnreadableValueError):
        decrypt_old_second_factor(*OLD, "another OTP_SECRET")


def test_samples_are_really_encrypted() -> None:
    """What sample databases hold is read with the keys that their `.env.production` holds."""
    keys = EncryptionKeys.of(ENCRYPTION_SETTINGS)
    assert keys is not None
    for text in (SECOND_FACTOR, LONG):
        assert decrypt(encrypted(Random(1), text), keys) == text
