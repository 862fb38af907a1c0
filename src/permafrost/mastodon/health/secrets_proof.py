"""Whether the secrets are complete and right: real values in the database are decrypted with them.

Presence proves nothing: a new installation that was started once has secrets of its own making.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping

import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from permafrost.mastodon.columns import columns_of
from permafrost.mastodon.health.encryption import (
    EncryptionKeys,
    UnreadableValueError,
    decrypt,
    decrypt_old_second_factor,
)
from permafrost.mastodon.health.report import Check
from permafrost.mastodon.secrets import ALL, SINCE_4_3

_SAMPLE = 5
_LOCAL_KEY_TYPES = "private_key IS NOT NULL"


def check_secrets(connection: psycopg.Connection, environment: Mapping[str, str] | None) -> Iterator[Check]:
    """Yield the checks of the secrets; within `reading`. Without an environment what needs one is skipped."""
    users = columns_of(connection, "users")
    keypairs = columns_of(connection, "keypairs")
    needs_encryption = "otp_secret" in users or bool(keypairs)
    if environment is None:
        yield Check("secrets", "skipped", "no secrets were given: use --env-file FILE to have them proved")
    else:
        yield _check_present(environment, needs_encryption=needs_encryption)
        yield _check_vapid(environment)
        yield _check_self_destruct(environment)
        yield _check_second_factors(connection, environment, users)
        if {"private_key"} <= keypairs:
            yield _check_keypairs(connection, environment)
    if {"private_key", "public_key", "domain"} <= columns_of(connection, "accounts"):
        yield _check_account_keys(connection, has_keypairs="private_key" in keypairs)


def _check_present(environment: Mapping[str, str], *, needs_encryption: bool) -> Check:
    needed = ["SECRET_KEY_BASE", "VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY"]
    needed += SINCE_4_3 if needs_encryption else ["OTP_SECRET"]
    missing = [name for name in needed if not environment.get(name)]
    if missing:
        return Check(
            "secrets-present",
            "finding",
            f"not set: {', '.join(missing)}. Mastodon does not start without them, or cannot read what it encrypted; "
            "take them from the server's own settings (systemd, Docker), never create new ones",
            tuple(missing),
            len(missing),
        )
    there = [name for name in ALL if environment.get(name)]
    return Check("secrets-present", "passed", f"set: {', '.join(there)}")


def _check_vapid(environment: Mapping[str, str]) -> Check:
    private, public = environment.get("VAPID_PRIVATE_KEY", ""), environment.get("VAPID_PUBLIC_KEY", "")
    if not private or not public:
        return Check("vapid", "skipped", "the VAPID pair is not set")
    try:
        scalar = int.from_bytes(_url_base64(private), "big")
        point = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
        fits = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) == _url_base64(public)
    except ValueError:
        fits = False
    if fits:
        return Check("vapid", "passed", "the VAPID keys match")
    message = "the VAPID keys do not match: notifications to browsers and apps cannot be sent"
    return Check("vapid", "finding", message)


def _url_base64(value: str) -> bytes:
    return urlsafe_b64decode(value + "=" * (-len(value) % 4))


def _check_self_destruct(environment: Mapping[str, str]) -> Check:
    if environment.get("SELF_DESTRUCT"):
        return Check(
            "self-destruct",
            "finding",
            "SELF_DESTRUCT is set: a server started with it erases itself from the fediverse; remove it first",
        )
    return Check("self-destruct", "passed", "SELF_DESTRUCT is not set")


def _check_second_factors(
    connection: psycopg.Connection, environment: Mapping[str, str], users: frozenset[str]
) -> Check:
    keys = EncryptionKeys.of(environment)
    if "otp_secret" in users:
        query = "SELECT id::text, otp_secret FROM users WHERE otp_secret IS NOT NULL ORDER BY id LIMIT %s"
        rows = connection.execute(query, (_SAMPLE,)).fetchall()
        if rows and keys is not None:
            return _decrypted("second-factors", "second factors (users.otp_secret)", rows, keys)
        if rows:
            return Check("second-factors", "skipped", "the ACTIVE_RECORD_ENCRYPTION_* values are not all set")
    if {"encrypted_otp_secret", "encrypted_otp_secret_iv", "encrypted_otp_secret_salt"} <= users:
        old = connection.execute(
            """SELECT id::text, encrypted_otp_secret, encrypted_otp_secret_iv, encrypted_otp_secret_salt FROM users
            WHERE encrypted_otp_secret IS NOT NULL ORDER BY id LIMIT %s""",
            (_SAMPLE,),
        ).fetchall()
        if old:
            return _old_second_factors(old, environment.get("OTP_SECRET", ""))
    return Check("second-factors", "skipped", "no user has a second factor that could prove the secrets")


def _old_second_factors(rows: list[tuple[str, str, str, str]], otp_secret: str) -> Check:
    if not otp_secret:
        return Check(
            "second-factors", "finding", "users have second factors from before 4.3, and OTP_SECRET is not set"
        )
    failed = []
    for user, encrypted, nonce, salt in rows:
        try:
            decrypt_old_second_factor(encrypted, nonce, salt, otp_secret)
        except UnreadableValueError:
            failed.append(user)
    return _verdict(
        "second-factors", "second factors (OTP_SECRET)", len(rows), failed, "OTP_SECRET is not this server's"
    )


def _check_keypairs(connection: psycopg.Connection, environment: Mapping[str, str]) -> Check:
    query = f"SELECT id::text, private_key FROM keypairs WHERE {_LOCAL_KEY_TYPES} ORDER BY id LIMIT %s"  # noqa: S608
    rows = connection.execute(query, (_SAMPLE,)).fetchall()
    if not rows:
        return Check("keypairs", "skipped", "keypairs has no private key: before 4.7 they are in accounts")
    keys = EncryptionKeys.of(environment)
    if keys is None:
        return Check(
            "keypairs",
            "finding",
            "local accounts' private keys are encrypted, and the ACTIVE_RECORD_ENCRYPTION_* values are not all set: "
            "without them this server's identity in the fediverse is lost",
        )
    check = _decrypted("keypairs", "private keys (keypairs.private_key)", rows, keys)
    if check.outcome == "finding":
        return check
    pairs = connection.execute(
        f"SELECT id::text, private_key, public_key FROM keypairs WHERE {_LOCAL_KEY_TYPES} ORDER BY id LIMIT %s",  # noqa: S608
        (_SAMPLE,),
    ).fetchall()
    failed = [number for number, sealed, public in pairs if not _signs(decrypt(sealed, keys), public)]
    return _verdict(
        "keypairs", "private keys that were decrypted and sign", len(pairs), failed, "the keys do not match"
    )


def _decrypted(code: str, what: str, rows: list[tuple[str, str]], keys: EncryptionKeys) -> Check:
    failed, reason = [], ""
    for number, stored in rows:
        try:
            decrypt(stored, keys)
        except UnreadableValueError as error:
            failed.append(number)
            reason = str(error)
    return _verdict(code, what, len(rows), failed, reason)


def _verdict(code: str, what: str, tried: int, failed: list[str], reason: str) -> Check:
    if not failed:
        return Check(code, "passed", f"{what}: {tried} read with the secrets", count=tried)
    message = (
        f"{what}: {len(failed)} of {tried} cannot be read with these secrets: {reason}. Find the .env.production that "
        "belongs to this database before you start Mastodon"
    )
    return Check(code, "finding", message, tuple(failed), len(failed))


def _check_account_keys(connection: psycopg.Connection, *, has_keypairs: bool) -> Check:
    """A local account's key signs, and its public key, which other servers know, verifies."""
    rows = connection.execute(
        """SELECT id::text, private_key, public_key FROM accounts
        WHERE domain IS NULL AND private_key IS NOT NULL AND private_key <> '' ORDER BY id LIMIT %s""",
        (_SAMPLE,),
    ).fetchall()
    if not rows:
        where = "they are in keypairs (4.7)" if has_keypairs else "there is none"
        return Check("account-keys", "skipped", f"no local account has a private key in accounts: {where}")
    failed = [account for account, private, public in rows if not _signs(private.encode(), public)]
    if failed:
        message = (
            f"the keys of {len(failed)} of {len(rows)} local accounts do not sign what their public keys verify: other "
            "servers will refuse what they send"
        )
        return Check("account-keys", "finding", message, tuple(failed), len(failed))
    return Check("account-keys", "passed", f"the keys of {len(rows)} local accounts sign and verify", count=len(rows))


def _signs(private_pem: bytes, public_pem: str) -> bool:
    """Return whether one makes a signature as ActivityPub's (RSA, PKCS#1 v1.5, SHA-256), and the other verifies it."""
    text = hashlib.sha256(private_pem).digest()
    try:
        private, public = load_pem_private_key(private_pem, None), load_pem_public_key(public_pem.encode())
        if not isinstance(private, rsa.RSAPrivateKey) or not isinstance(public, rsa.RSAPublicKey):
            return False
        public.verify(private.sign(text, padding.PKCS1v15(), SHA256()), text, padding.PKCS1v15(), SHA256())
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
