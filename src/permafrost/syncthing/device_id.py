"""Device ids: the SHA-256 of a device's certificate, in base 32, with check letters (config/device_ids.py)."""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path

from permafrost.config.device_ids import PART, check_letter


def device_id_of(certificate: Path) -> str:
    """Return the device id that belongs to a certificate in PEM form."""
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii"))
    letters = base64.b32encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")
    parts = (letters[at : at + PART] for at in range(0, len(letters), PART))
    checked = "".join(part + check_letter(part) for part in parts)
    return "-".join(checked[at : at + 7] for at in range(0, len(checked), 7))
