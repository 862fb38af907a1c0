"""Creates everything that a server needs for backups: configuration, keys, repository and recovery sheet.

Nothing that exists is overwritten, nothing half-made is left: all is built out of sight and placed at the end,
the configuration last, so that a server with a configuration has everything that it names.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from permafrost.config.checking import check_files
from permafrost.config.loading import parse_toml
from permafrost.config.models import Configuration
from permafrost.config.secret_files import read_secret_file
from permafrost.config.writing import commented_toml
from permafrost.documents.setup import InitDocument
from permafrost.errors import ConfigurationError
from permafrost.events import Reporter, Steps, Warned
from permafrost.mastodon.environment import read_environment
from permafrost.mastodon.initial_settings import InitialSettings, InitRequest, initial_settings
from permafrost.openpgp.passphrase import new_passphrase
from permafrost.operations.own.beginnings import (
    SECRET_MODE,
    build_signing_key,
    own_name,
    refuse_unusable_recipients,
    write_first_key_check,
)
from permafrost.operations.own.sheet import own_sheet
from permafrost.repository.durable import write_new_file
from permafrost.repository.repository import Repository
from permafrost.repository.staging import Placing

CONFIGURATION_MODE = 0o640


@dataclass(frozen=True, slots=True)
class Initialized:
    """What is there now; `recovery_sheet` is the sheet's text, with the passphrase if there is one."""

    configuration: Configuration
    config_file: Path
    repository_id: str
    fingerprint: str
    made: tuple[Path, ...]
    sheet_file: Path
    recovery_sheet: str = field(repr=False)

    def document(self) -> InitDocument:
        """Return it for JSON, without the sheet's text: JSON ends up in logs, and the passphrase must not."""
        return InitDocument(
            config=str(self.config_file),
            repository=str(self.configuration.repository.path),
            repository_id=self.repository_id,
            fingerprint=self.fingerprint,
            recovery_sheet=str(self.sheet_file),
            made=tuple(map(str, self.made)),
        )


def initialize(
    request: InitRequest, *, now: datetime, report: Reporter, make_passphrase: Callable[[], str] = new_passphrase
) -> Initialized:
    """Make configuration, passphrase, signing key, repository and recovery sheet, and return what was made.

    Raise `ConfigurationError` (or what a tool raises) with everything as it was: if any of the targets exists, if
    Mastodon's settings cannot be read, or if a step fails.
    """
    steps = Steps(report, 4)
    with steps.step("read Mastodon's settings" if request.mastodon else "check what was requested"):
        environment = read_environment(request.mastodon) if request.mastodon else None
        settings = initial_settings(request, environment)
        if environment is not None:
            about_database = () if request.database_url else environment.database_notes()
            for note in (*about_database, *environment.notes()):
                report(Warned(note))
    with _explained(request):
        with steps.step("check that nothing exists yet"):
            targets = _targets(request, settings)
            _refuse_existing(targets)
            refuse_unusable_recipients(settings.configuration)
        with Placing() as placing:
            with steps.step("create signing key, repository, passphrase and recovery sheet"):
                made = _build(placing, request, settings, now, make_passphrase)
            with steps.step("move everything into place"):
                placing.make_folder(request.state, 0o700)
                placing.place()
    for key, message in check_files(made.configuration):
        report(Warned(f"{key}: {message}"))
    return made


@contextmanager
def _explained(request: InitRequest) -> Iterator[None]:
    """Turn what the system refuses into an error that says how to make the folders that are needed."""
    try:
        yield
    except OSError as error:
        hint = "choose folders that you own with --config, --repository and --state"
        if closed := [folder for folder in request.folders if not _may_fill(folder)]:
            user = shlex.quote(own_name())
            hint = f"as root: install -d -o {user} -m 0700 {shlex.join(map(str, closed))}; or {hint}"
        raise ConfigurationError(
            f"cannot write {error.filename}: {error.strerror}",
            hint=hint,
            unchanged="everything; what this run had created is removed again",
        ) from error


def _may_fill(folder: Path) -> bool:
    """Return whether we may make files in `folder`, or, if it is missing, make the folder."""
    there = next(candidate for candidate in (folder, *folder.parents) if os.path.lexists(candidate))
    return os.access(there, os.W_OK | os.X_OK, effective_ids=True)


def _targets(request: InitRequest, settings: InitialSettings) -> tuple[Path, ...]:
    """Return all that will be made, the configuration last."""
    optional = (
        None if request.existing_passphrase else request.passphrase_file,
        request.beside("pgpass") if settings.pgpass else None,
    )
    return (
        request.repository,
        settings.configuration.signing.gnupg_home,
        *(path for path in optional if path is not None),
        request.sheet,
        request.config_file,
    )


def _refuse_existing(targets: tuple[Path, ...]) -> None:
    existing = [path for path in targets if path.exists() or path.is_symlink()]
    if existing:
        raise ConfigurationError(
            f"already exists: {', '.join(map(str, existing))}",
            hint="to start again, move them away and keep them: copies made with these keys open with nothing else; to "
            "make only what an existing configuration lacks, give no option but --config",
            unchanged="everything; nothing was created",
        )


def _build(
    placing: Placing,
    request: InitRequest,
    settings: InitialSettings,
    now: datetime,
    make_passphrase: Callable[[], str],
) -> Initialized:
    """Build everything in the staging folders, in the order in which it will be placed."""
    repository_place = placing.stage(request.repository)
    gnupg_place = placing.stage(settings.configuration.signing.gnupg_home)
    fingerprint, public_key = build_signing_key(gnupg_place, settings.configuration.server.name)
    configuration = settings.with_fingerprint(fingerprint)
    repository = Repository.create(
        repository_place,
        sealing="recipients" if request.recipients else "passphrase",
        recipients=configuration.encryption.recipients,
        fingerprint=fingerprint,
        signing_public_key=public_key,
        now=now,
    )
    passphrase = None
    if request.existing_passphrase is not None:
        passphrase = read_secret_file(request.existing_passphrase)
        write_first_key_check(repository, request.existing_passphrase, gnupg_place)
    elif request.passphrase_file is not None:
        passphrase = make_passphrase()
        staged = _write(placing, request.passphrase_file, f"{passphrase}\n", SECRET_MODE)
        write_first_key_check(repository, staged, gnupg_place)
    if settings.pgpass is not None:
        _write(placing, request.beside("pgpass"), f"{settings.pgpass}\n", SECRET_MODE)
    sheet = own_sheet(
        configuration,
        repository_id=repository.repository_id,
        fingerprint=fingerprint,
        passphrase=passphrase,
        now=now,
    )
    _write(placing, request.sheet, sheet, SECRET_MODE)
    _write(placing, request.config_file, _configuration_text(request, settings, configuration), CONFIGURATION_MODE)
    return Initialized(
        configuration=configuration,
        config_file=request.config_file,
        repository_id=repository.repository_id,
        fingerprint=fingerprint,
        made=_targets(request, settings),
        sheet_file=request.sheet,
        recovery_sheet=sheet,
    )


def _write(placing: Placing, final: Path, text: str, mode: int) -> Path:
    staged = placing.stage(final)
    write_new_file(staged, text.encode(), mode)
    return staged


def _configuration_text(request: InitRequest, settings: InitialSettings, configuration: Configuration) -> str:
    text = commented_toml(
        configuration,
        heading=(
            "permafrost's configuration, created by permafrost init.",
            "It contains no secret. After a change: permafrost config check.",
        ),
        notes=settings.notes,
    )
    if parse_toml(text, Configuration, request.config_file) != configuration:
        raise AssertionError("the configuration as written differs from the intended one")
    return text
