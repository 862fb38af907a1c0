"""Creates what an existing configuration names and the machine lacks, for set-ups that are declared elsewhere.

Rules kept here:

1. What exists is used as it is; where all exists, nothing is done and nothing is said.
2. A repository whose passphrase or signing key is missing never gets new ones: its snapshots would open with neither.
3. The repository is created last, so that one which exists has its keys. A run that was killed before is resumed with
   the key and the passphrase that it had made; its recovery sheet, which names no repository, is moved aside.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from permafrost.config.credentials import names_credential
from permafrost.config.models import Configuration
from permafrost.config.secret_files import read_secret_file
from permafrost.documents.setup import InitDocument
from permafrost.errors import ConfigurationError
from permafrost.openpgp.passphrase import new_passphrase
from permafrost.openpgp.signing import export_public_key, signing_fingerprint
from permafrost.operations.own.beginnings import (
    SECRET_MODE,
    build_signing_key,
    refuse_unusable_recipients,
    write_first_key_check,
)
from permafrost.operations.own.sheet import own_sheet
from permafrost.repository.durable import write_new_file
from permafrost.repository.layout import FACTS_FILE, Layout
from permafrost.repository.repository import EMERGENCY_NAMES, Repository, new_repository_id
from permafrost.repository.staging import Placing

_NOTHING_MADE = "everything; nothing was created"


@dataclass(slots=True)
class InitConfigured:
    """What the configuration in `config_file` lacked and has now: `made` is empty if it lacked nothing."""

    configuration: Configuration
    config_file: Path
    made: list[Path] = field(default_factory=list)
    repository_id: str = ""
    fingerprint: str = ""

    @property
    def sheet_file(self) -> Path:
        """Where the recovery sheet is, until somebody has printed and removed it."""
        return self.configuration.signing.sheet_file

    def document(self) -> InitDocument:
        """Return it for JSON, without the sheet's text."""
        return InitDocument(
            config=str(self.config_file),
            repository=str(self.configuration.repository.path),
            repository_id=self.repository_id,
            fingerprint=self.fingerprint,
            recovery_sheet=str(self.sheet_file),
            made=tuple(map(str, self.made)),
        )


def initialize_configured(
    configuration: Configuration,
    config_file: Path,
    *,
    now: datetime,
    make_passphrase: Callable[[], str] = new_passphrase,
) -> InitConfigured:
    """Make signing key, passphrase, repository, state folder and recovery sheet, as far as they are missing.

    Raise `ConfigurationError`, with everything as it was, if a repository exists without its passphrase or its key.
    """
    result = InitConfigured(configuration, config_file)
    repository_path = configuration.repository.path
    if (repository_path / FACTS_FILE).exists():
        _check_complete(configuration)
        repository = Repository.open(repository_path)
        result.repository_id, result.fingerprint = repository.repository_id, repository.fingerprint
        with Placing() as placing:
            _make_state(placing, result)
        return result
    refuse_unusable_recipients(configuration)
    with Placing() as placing:
        public_key = _build_keys(placing, result, now, make_passphrase)
        _make_state(placing, result)
        placing.make_folder(repository_path.parent, 0o755)
        placing.place()
        repository = _create_repository(result, public_key, now)
    if configuration.encryption.passphrase_file is not None:  # after a kill before this, the first backup makes it
        write_first_key_check(repository, configuration.encryption.passphrase_file, configuration.signing.gnupg_home)
    return result


def _make_state(placing: Placing, result: InitConfigured) -> None:
    state = result.configuration.state.path
    if not state.is_dir():
        placing.make_folder(state, 0o700)
        result.made.append(state)


def _create_repository(result: InitConfigured, public_key: bytes, now: datetime) -> Repository:
    """Create it where it belongs, as an empty folder that somebody has made may be all that we can write to."""
    configuration, path = result.configuration, result.configuration.repository.path
    _clear_half_made(path)
    try:
        repository = Repository.create(
            path,
            sealing="recipients" if configuration.encryption.recipients else "passphrase",
            recipients=configuration.encryption.recipients,
            fingerprint=result.fingerprint,
            signing_public_key=public_key,
            now=now,
            repository_id=result.repository_id,
        )
    except BaseException:
        _clear_half_made(path)
        raise
    result.made.append(path)
    return repository


def _clear_half_made(path: Path) -> None:
    """Empty the folder of what a creation that broke off left; of anything else, nothing is touched."""
    if not path.is_dir() or (path / FACTS_FILE).exists():
        return
    layout = Layout(path)
    folders = [layout.objects, layout.snapshots, layout.temporary]
    expected = {layout.signing_key, *folders, *(path / name for name in EMERGENCY_NAMES)}
    if set(path.iterdir()) <= expected and not any(any(folder.iterdir()) for folder in folders if folder.is_dir()):
        for entry in path.iterdir():
            entry.rmdir() if entry.is_dir() else entry.unlink()


def _check_complete(configuration: Configuration) -> None:
    """Raise `ConfigurationError` if the repository exists, and its signing key or its passphrase does not."""
    passphrase_file, home = configuration.encryption.passphrase_file, configuration.signing.gnupg_home
    if passphrase_file is not None and not os.path.lexists(passphrase_file):
        raise ConfigurationError(
            f"the repository {configuration.repository.path} exists, its passphrase file {passphrase_file} does not",
            hint="put the passphrase of the recovery sheet there, mode 0600; a new one would open no existing snapshot",
            unchanged=_NOTHING_MADE,
        )
    if not _has_key(home):
        raise ConfigurationError(
            f"the repository {configuration.repository.path} exists, its signing key in {home} does not",
            hint="bring the folder back from another copy; or move the repository away, to begin a new one",
            unchanged=_NOTHING_MADE,
        )


def _has_key(home: Path) -> bool:
    """Return whether the GnuPG home holds a secret key, without starting gpg."""
    keys = home / "private-keys-v1.d"
    return keys.is_dir() and any(keys.iterdir())


def _build_keys(placing: Placing, result: InitConfigured, now: datetime, make_passphrase: Callable[[], str]) -> bytes:
    """Build the missing keys and the sheet in staging folders; return the signing key's public part."""
    configuration = result.configuration
    result.fingerprint, public_key = _key(placing, result, configuration.signing.gnupg_home)
    passphrase = _passphrase(placing, result, make_passphrase)
    result.repository_id = new_repository_id()
    text = own_sheet(
        configuration,
        repository_id=result.repository_id,
        fingerprint=result.fingerprint,
        passphrase=passphrase,
        now=now,
    )
    _set_sheet_aside(result.sheet_file, now)
    write_new_file(placing.stage(result.sheet_file), text.encode(), SECRET_MODE)
    result.made.append(result.sheet_file)
    return public_key


def _key(placing: Placing, result: InitConfigured, home: Path) -> tuple[str, bytes]:
    """Return fingerprint and public key of the signing key, which is made if it is missing."""
    configured = result.configuration.signing.fingerprint
    if _has_key(home):
        fingerprint = configured or signing_fingerprint(home) or ""
        return fingerprint, export_public_key(home, fingerprint)
    if configured is not None:
        raise ConfigurationError(
            f"the configuration names the signing key {configured}, and {home} has none",
            hint="bring the folder back from another copy; or leave signing.fingerprint out, to have a key made",
            unchanged=_NOTHING_MADE,
        )
    if home.exists():
        raise ConfigurationError(
            f"{home} exists, and holds no secret key", hint="move it away", unchanged=_NOTHING_MADE
        )
    placing.make_folder(home.parent, 0o700)
    made = build_signing_key(placing.stage(home), result.configuration.server.name)
    result.made.append(home)
    return made


def _passphrase(placing: Placing, result: InitConfigured, make_passphrase: Callable[[], str]) -> str | None:
    """Return the passphrase, which is made if its file is missing and is no credential; None with recipients."""
    file = result.configuration.encryption.passphrase_file
    if file is None:
        return None
    if os.path.lexists(file) or names_credential(file, os.environ):
        return read_secret_file(file)
    passphrase = make_passphrase()
    write_new_file(placing.stage(file), f"{passphrase}\n".encode(), SECRET_MODE)
    result.made.append(file)
    return passphrase


def _set_sheet_aside(sheet: Path, now: datetime) -> None:
    if os.path.lexists(sheet):
        sheet.rename(sheet.with_name(f"{sheet.stem}-before-{now:%Y%m%dT%H%M%SZ}{sheet.suffix}"))
