"""Checks every file and folder that the configuration names, for `config check` and `init`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from permafrost.config.models import Configuration, Encryption, passfile_of
from permafrost.config.outside import outside_findings, secrets_left_out
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import KeyFileError
from permafrost.findings import FindingKind
from permafrost.small_files import open_named

KeyedMessage = tuple[str, str]
"""A dotted key of the configuration, and what is wrong with what it names."""


def check_files(configuration: Configuration) -> list[KeyedMessage]:
    """Return what is wrong with the files that the configuration names, by key; an empty list if nothing is."""
    return [
        *_check_database(configuration.database.url),
        *_check_encryption(configuration.encryption),
        *_check_gnupg_home(configuration.signing.gnupg_home),
        *_check_secrets(configuration.secrets.files),
        *_check_media(configuration),
        *_check_secret("syncthing.api_key_file", configuration.syncthing.api_key_file),
        *(
            message
            for number, receiver in enumerate(configuration.notify)
            for message in _check_secret(f"notify.{number}.url_file", receiver.url_file)
        ),
        *(
            message
            for number, bucket in enumerate(configuration.buckets)
            for key in ("credentials_file", "read_credentials_file")
            for message in _check_secret(f"buckets.{number}.{key}", getattr(bucket, key))
        ),
    ]


def _check_secret(key: str, path: Path | None) -> Iterator[KeyedMessage]:
    if path is None:
        return
    try:
        read_secret_file(path)
    except KeyFileError as error:
        yield key, error.message + (f" ({error.hint})" if error.hint else "")


def _check_database(url: str) -> Iterator[KeyedMessage]:
    passfile = passfile_of(url)
    # libpq silently passes over one that is missing or that others can read (its manual, "The Password File")
    yield from _check_secret("database.url", passfile)


def _check_encryption(encryption: Encryption) -> Iterator[KeyedMessage]:
    yield from _check_secret("encryption.passphrase_file", encryption.passphrase_file)
    if encryption.recipients_dir is None:
        return
    for fingerprint in encryption.recipients:
        path = encryption.recipients_dir / f"{fingerprint}.asc"
        if fault := _unreadable(path):
            yield "encryption.recipients_dir", f"{path}: {fault}"


def _check_gnupg_home(home: Path) -> Iterator[KeyedMessage]:
    key = "signing.gnupg_home"
    try:
        status = home.stat()
    except OSError as error:
        yield key, f"{home}: {error.strerror}"
        return
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        yield key, f"{home}: not a folder"
    elif mode != 0o700:
        yield key, f"{home}: has mode {mode:04o}, must have 0700 (chmod 0700 {home})"
    elif status.st_uid not in (os.geteuid(), 0):
        yield key, f"{home}: belongs to user id {status.st_uid}, neither to you ({os.geteuid()}) nor to root"


def _check_secrets(files: tuple[Path, ...]) -> Iterator[KeyedMessage]:
    left_out = dict(secrets_left_out(files))
    for path in files:
        if fault := _unreadable(path) or left_out.get(path):
            yield "secrets.files", f"{path}: {fault}"


def _check_media(configuration: Configuration) -> Iterator[KeyedMessage]:
    if configuration.media is not None:
        yield from _check_secret("media.credentials_file", configuration.media.credentials_file)
    for finding in outside_findings(configuration):
        if finding.kind in (FindingKind.MEDIA_MISSING, FindingKind.MEDIA_LINKS):
            yield "media.path", finding.message


def _unreadable(path: Path) -> str:
    """Return why `path` cannot be read as a file, "" if it can."""
    try:
        with os.fdopen(open_named(path), "rb") as file:
            file.read(1)
    except OSError as error:
        return error.strerror or "cannot be read"
    return ""
