"""Device ids: the SHA-256 of a device's certificate, in base 32, with check digits.

Made of 52 base-32 letters, each 13 followed by a check letter (Luhn's algorithm modulo 32), shown in eight groups
of seven: https://docs.syncthing.net/dev/device-ids.html.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from pathlib import Path

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PART = 13
_SHAPE = re.compile(r"(?:[A-Z2-7]{7}-){7}[A-Z2-7]{7}")


def device_id_of(certificate: Path) -> str:
    """Return the device id that belongs to a certificate in PEM form."""
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii"))
    letters = base64.b32encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")
    parts = (letters[at : at + _PART] for at in range(0, len(letters), _PART))
    checked = "".join(part + _check_letter(part) for part in parts)
    return "-".join(checked[at : at + 7] for at in range(0, len(checked), 7))


def is_device_id(text: str) -> bool:
    """Return whether `text` is a device id in its usual form with all check letters right."""
    if _SHAPE.fullmatch(text) is None:
        return False
    letters = text.replace("-", "")
    parts = (letters[at : at + _PART + 1] for at in range(0, len(letters), _PART + 1))
    return all(part[-1] == _check_letter(part[:-1]) for part in parts)


def _check_letter(letters: str) -> str:
    total = 0
    for position, letter in enumerate(letters):
        addend = _ALPHABET.index(letter) * (1 + position % 2)
        total += addend // 32 + addend % 32
    return _ALPHABET[-total % 32]
