"""Reads what Rails and Mastodon have encrypted in a database, with the secrets of `.env.production`.

Active Record Encryption (Rails guide "Active Record Encryption"; lib/active_record/encryption): the key is PBKDF2 over
the configured primary or deterministic key, with the configured salt, 2**16 rounds and 32 bytes; the digest is SHA-256
since the defaults of Rails 7.1 and SHA-1 before, so both are tried. A value is AES-256-GCM in a JSON document: `p` the
payload, and in the headers `h` the nonce `iv` and the tag `at`, all in base64, and `c` if the text was deflated before.
The deterministic scheme differs in its key, and in a nonce that is the beginning of an HMAC-SHA256 of the text.

Up to Mastodon 4.2 second factors were in three columns: AES-256-GCM under a key that is PBKDF2-SHA1 over OTP_SECRET
with 2,000 rounds and a salt of their own.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
import re
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS = 1 << 16
_OLD_ROUNDS = 2000
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_DIGESTS = ("sha256", "sha1")
_MOST_TEXT_BYTES = 1 << 20


class UnreadableValueError(Exception):
    """A value cannot be decrypted: with another key, or damaged, or of a form that is not known."""


@dataclass(frozen=True, slots=True)
class EncryptionKeys:
    """The three values that Active Record Encryption is configured with."""

    primary: str
    deterministic: str
    salt: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> EncryptionKeys | None:
        """Return the keys in Mastodon's environment, None if one is not set."""
        names = ("PRIMARY_KEY", "DETERMINISTIC_KEY", "KEY_DERIVATION_SALT")
        values = [environment.get(f"ACTIVE_RECORD_ENCRYPTION_{name}", "") for name in names]
        return cls(*values) if all(values) else None


def decrypt(stored: str, keys: EncryptionKeys, *, is_deterministic: bool = False) -> bytes:
    """Return the text of a value that Active Record Encryption has stored; raise `UnreadableValueError` if it fails."""
    payload, nonce, tag, is_deflated = _message(stored)
    secret = keys.deterministic if is_deterministic else keys.primary
    for digest in _DIGESTS:
        key = derived_key(secret, keys.salt, digest)
        try:
            text = AESGCM(key).decrypt(nonce, payload + tag, b"")
        except InvalidTag:
            continue
        text = _inflated(text) if is_deflated else text
        if is_deterministic and not hmac.compare_digest(nonce, deterministic_nonce(key, text)):
            raise UnreadableValueError("its nonce is not that of the deterministic scheme")
        return text
    raise UnreadableValueError("it was encrypted with other keys, or is damaged")


def derived_key(secret: str, salt: str, digest: str) -> bytes:
    """Return the key that Active Record Encryption makes of a configured one."""
    return hashlib.pbkdf2_hmac(digest, secret.encode(), salt.encode(), _ROUNDS, _KEY_BYTES)


def deterministic_nonce(key: bytes, text: bytes) -> bytes:
    """Return the nonce that the deterministic scheme uses for a text."""
    return hmac.new(key, text, hashlib.sha256).digest()[:_NONCE_BYTES]


def decrypt_old_second_factor(encrypted: str, nonce: str, salt: str, otp_secret: str) -> bytes:
    """Return a second factor as Mastodon up to 4.2 stored it; raise `UnreadableValueError` if it fails."""
    try:
        sealed, nonce_bytes, salt_bytes = (_lenient_base64(value) for value in (encrypted, nonce, salt))
        key = hashlib.pbkdf2_hmac("sha1", otp_secret.encode(), salt_bytes, _OLD_ROUNDS, _KEY_BYTES)
        return AESGCM(key).decrypt(nonce_bytes, sealed, b"")
    except (InvalidTag, ValueError) as error:
        raise UnreadableValueError("it was encrypted with another OTP_SECRET, or is damaged") from error


def _message(stored: str) -> tuple[bytes, bytes, bytes, bool]:
    """Return payload, nonce, tag and whether the text is deflated."""
    try:
        message = json.loads(stored)
        headers = message["h"]
        payload, nonce, tag = (
            b64decode(value, validate=True) for value in (message["p"], headers["iv"], headers["at"])
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableValueError("it is not in the form that Rails stores") from error
    if len(nonce) != _NONCE_BYTES or len(tag) != _TAG_BYTES:
        raise UnreadableValueError("its nonce or its tag has the wrong length for AES-256-GCM")
    return payload, nonce, tag, bool(headers.get("c"))


def _inflated(text: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(text, _MOST_TEXT_BYTES)
    except zlib.error as error:
        raise UnreadableValueError("its deflated text is damaged") from error
    if not inflater.eof:
        raise UnreadableValueError("its deflated text is truncated, or larger than any that Mastodon stores")
    return inflated


def _lenient_base64(value: str) -> bytes:
    """Return what base64 holds as Ruby's `unpack("m")` reads it: other characters, a leading `_` too, are none."""
    try:
        return b64decode(re.sub(r"[^A-Za-z0-9+/=]", "", value))
    except binascii.Error as error:
        raise ValueError("not base64") from error
