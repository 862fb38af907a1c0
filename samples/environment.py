"""An `.env.production` as an admin of a small server has it: secrets made for it, and the samples' encryption keys."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

from samples.encryption import ENCRYPTION_SETTINGS

# The curve P-256 (FIPS 186-4, D.1.2.3), on which Web Push's keys lie.
_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

_Point = tuple[int, int] | None


def environment_file(
    domain: str, database: str, socket_folder: Path, port: int, *, media_folder: Path | None = None
) -> str:
    """Return a complete `.env.production` for a database reached by a unix socket; its secrets are fresh, but
    those that the samples' rows are encrypted with.
    """
    vapid_private, vapid_public = vapid_keys()
    settings = {
        "LOCAL_DOMAIN": domain,
        "SINGLE_USER_MODE": "false",
        "DB_HOST": str(socket_folder),
        "DB_PORT": str(port),
        "DB_NAME": database,
        "DB_USER": "mastodon",
        "DB_PASS": "",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": "6379",
        "ES_ENABLED": "false",
        "S3_ENABLED": "false",
        "SMTP_SERVER": "smtp.mail.example",
        "SMTP_PORT": "587",
        "SMTP_LOGIN": "mastodon",
        "SMTP_PASSWORD": secrets.token_urlsafe(18),
        "SMTP_FROM_ADDRESS": f"'Mastodon <notifications@{domain}>'",
        "SECRET_KEY_BASE": secrets.token_hex(64),
        "OTP_SECRET": secrets.token_hex(64),
        "VAPID_PRIVATE_KEY": vapid_private,
        "VAPID_PUBLIC_KEY": vapid_public,
        **ENCRYPTION_SETTINGS,
    }
    if media_folder is not None:
        settings["PAPERCLIP_ROOT_PATH"] = str(media_folder)
    lines = (f"{name}={value}" for name, value in settings.items())
    return "\n".join(("# Made by hand; keep it secret", *lines, ""))


def vapid_keys() -> tuple[str, str]:
    """Return a fresh private and public key in the form of Web Push: url-safe base64 of scalar and point."""
    scalar = secrets.randbelow(_ORDER - 1) + 1
    x, y = _public_point(scalar)
    public = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    return urlsafe_b64encode(scalar.to_bytes(32, "big")).decode(), urlsafe_b64encode(public).decode()


def _public_point(scalar: int) -> tuple[int, int]:
    """Return `scalar` times the base point, by doubling and adding. Not in constant time: for samples only."""
    total: _Point = None
    power: _Point = _BASE
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power = _add(power, power)
        scalar >>= 1
    assert total is not None  # noqa: S101 - the scalar lies between 1 and the order
    return total


def _add(left: _Point, right: _Point) -> _Point:
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % _PRIME == 0:
        return None
    rise, run = (3 * x1 * x1 - 3, 2 * y1) if left == right else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, _PRIME)
    x = (slope * slope - x1 - x2) % _PRIME
    return x, (slope * (x1 - x) - y1) % _PRIME
