"""Strings that look like the secrets of a real server, and are none: made by a seeded generator."""

from __future__ import annotations

from base64 import b64encode
from random import Random
from string import ascii_letters, digits

_BASE62 = ascii_letters + digits


def token(rng: Random, length: int = 43) -> str:
    """Return letters and digits like an access token."""
    return "".join(rng.choices(_BASE62, k=length))


def password_hash(rng: Random) -> str:
    """Return something like a bcrypt hash."""
    return f"$2a$10${token(rng, 53)}"


def public_key(rng: Random) -> str:
    """Return a block that looks like the PEM of a 2048 bit RSA public key."""
    prefix = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100")
    return _pem("PUBLIC KEY", prefix + rng.randbytes(256) + bytes.fromhex("0203010001"))


def _pem(kind: str, content: bytes) -> str:
    text = b64encode(content).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""))
