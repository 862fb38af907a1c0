"""Which secrets a given version of Mastodon cannot run without."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from permafrost.small_files import read_named

Version = tuple[int, int, int]

ALWAYS = ("SECRET_KEY_BASE", "VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY")
BEFORE_4_4 = ("OTP_SECRET",)
SINCE_4_3 = (
    "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
    "ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY",
    "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT",
)
ALL = (*ALWAYS, *BEFORE_4_4, *SINCE_4_3)

KEYPAIRS_SINCE = "20260702144128"
"""The migration of 4.7 that moves every local account's private key into `keypairs`, encrypted with `SINCE_4_3`."""

_MOST_BYTES = 1 << 20
_VERSION_PART = re.compile(r"def (major|minor|patch)\s+(\d+)\s+end")


def secrets_needed(version: Version | None) -> tuple[str, ...]:
    """Return the names that have to be set; for an unknown version, those that all versions need.

    OTP_SECRET is needed to boot up to 4.3 and gone in 4.4; the three encryption keys are needed since 4.3, and
    from 4.7 they protect the keys that are the server's identity (facts of the source, `config/environments/
    production.rb`, `config/initializers/active_record_encryption.rb`).
    """
    if version is None:
        return ALWAYS
    needed: tuple[str, ...] = ALWAYS
    if version < (4, 4, 0):
        needed += BEFORE_4_4
    if version >= (4, 3, 0):
        needed += SINCE_4_3
    return needed


def missing_for_identity(schema_version: str | None, present: Iterable[str], files: Iterable[Path]) -> tuple[str, ...]:
    """Return the secrets without which a database of this schema has lost its accounts' keys, and which are not there.

    `present` are those that an environment file sets. A file of its own, as NixOS has for each, counts by its name.
    """
    if schema_version is None or schema_version < KEYPAIRS_SINCE:
        return ()
    there = {*present, *(file.name.upper().replace("-", "_") for file in files)}
    return tuple(name for name in SINCE_4_3 if name not in there)


def read_version(mastodon: Path) -> Version | None:
    """Return the version in `lib/mastodon/version.rb` of the folder `mastodon`, None if it cannot be determined."""
    try:
        text = read_named(mastodon / "lib/mastodon/version.rb", _MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    parts = {name: int(number) for name, number in _VERSION_PART.findall(text)}
    if "major" not in parts or "minor" not in parts:
        return None
    return parts["major"], parts["minor"], parts.get("patch", 0)
