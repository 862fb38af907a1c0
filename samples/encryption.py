"""Values as Rails encrypts them, and key pairs of accounts, for sample databases: repeatable, and nobody's secrets.

The keys are written here for everybody to read, and `samples.environment` writes them into its `.env.production`, so
that whoever has that file can read what the sample database holds encrypted.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from base64 import b64encode
from functools import cache
from itertools import combinations
from random import Random

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ENCRYPTION_SETTINGS = {
    "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY": "permafrostSamplePrimaryKey000000",
    "ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY": "permafrostSampleDeterministicKey",
    "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT": "permafrostSampleKeyDerivationSal",
}
_DEFLATED_FROM_BYTES = 141
_EXPONENT = 65537
_PRIME_BITS = 1024
# what has to be added to the n-th start, below, to come to a prime; found once by trying
_TO_PRIMES = (
    *(170, 120, 984, 512, 904, 168, 1028, 894, 1510, 1030, 228, 8, 214, 732, 2800),
    *(382, 286, 408, 2248, 780, 66, 462, 3322, 800, 968, 98, 1162, 524, 282, 872),
    *(1304, 1028, 508, 130, 110, 58, 258, 1018, 1126, 108, 242, 626, 130, 266, 2174),
    *(192, 336, 774, 904, 376, 464, 1082, 18, 1318, 52, 700, 38, 528, 92, 526),
)


def encrypted(rng: Random, text: bytes) -> str:
    """Return what Rails stores of a text that it encrypts non-deterministically."""
    is_deflated = len(text) >= _DEFLATED_FROM_BYTES
    nonce = rng.randbytes(12)
    sealed = AESGCM(_key()).encrypt(nonce, zlib.compress(text) if is_deflated else text, None)
    headers: dict[str, object] = {"iv": _text(nonce), "at": _text(sealed[-16:])}
    if is_deflated:
        headers["c"] = True
    return json.dumps({"p": _text(sealed[:-16]), "h": headers}, separators=(",", ":"))


def old_second_factor(rng: Random, text: bytes, otp_secret: str) -> tuple[str, str, str]:
    """Return what Mastodon up to 4.2 stored of a second factor: the sealed text, its nonce and its salt."""
    nonce, salt = rng.randbytes(12), rng.randbytes(8)
    key = hashlib.pbkdf2_hmac("sha1", otp_secret.encode(), salt, 2000, 32)
    sealed = AESGCM(key).encrypt(nonce, text, b"")
    return f"{_text(sealed)}\n", f"{_text(nonce)}\n", f"_{_text(salt)}\n"


@cache
def _key() -> bytes:
    primary = ENCRYPTION_SETTINGS["ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"].encode()
    salt = ENCRYPTION_SETTINGS["ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT"].encode()
    return hashlib.pbkdf2_hmac("sha256", primary, salt, 65536, 32)


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")


def second_factor(rng: Random) -> bytes:
    """Return a secret of a second factor: base32, as authenticators want it."""
    return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=32)).encode()


def key_pair(number: int) -> tuple[str, str]:
    """Return the private and the public key of the account with that number, in PEM: RSA of 2048 bits.

    Made of two known primes each, as making new ones would take longer than everything else.
    """
    first, second = _pairs()[number % len(_pairs())]
    exponent = pow(_EXPONENT, -1, (first - 1) * (second - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, first * second)
    numbers = rsa.RSAPrivateNumbers(
        p=first,
        q=second,
        d=exponent,
        dmp1=exponent % (first - 1),
        dmq1=exponent % (second - 1),
        iqmp=pow(second, -1, first),
        public_numbers=public,
    )
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private_pem.decode("ascii"), public_pem.decode("ascii")


@cache
def _pairs() -> list[tuple[int, int]]:
    primes = [start_of_prime(number) + offset for number, offset in enumerate(_TO_PRIMES)]
    return [(max(pair), min(pair)) for pair in combinations(primes, 2)]


def start_of_prime(number: int) -> int:
    """Return the odd number from which the n-th prime was looked for upwards; its two highest bits are set."""
    content = b"".join(hashlib.sha512(f"permafrost sample {number} {part}".encode()).digest() for part in range(2))
    return int.from_bytes(content, "big") | 3 << (_PRIME_BITS - 2) | 1
