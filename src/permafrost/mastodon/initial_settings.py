"""Derives a server's first configuration from the admin's options and Mastodon's own settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from permafrost.config.key_lines import KeyLines
from permafrost.config.loading import misplaced_secrets, validated
from permafrost.config.models import RECOVERY_SHEET, Configuration
from permafrost.config.problems import InvalidFileError, Problem
from permafrost.errors import UsageError
from permafrost.mastodon.environment import MastodonEnvironment, stored_media_note
from permafrost.mastodon.settings import DatabaseSettings, FileSystemStorage, ObjectStorage

DEFAULT_REPOSITORY = Path("/var/lib/permafrost/repository")
DEFAULT_STATE = Path("/var/lib/permafrost/state")

_NO_KEY_YET = "0" * 40


@dataclass(frozen=True, slots=True)
class InitRequest:
    """What the admin said; all paths are absolute."""

    config_file: Path
    mastodon: Path | None = None
    database_url: str | None = field(default=None, repr=False)
    repository: Path = DEFAULT_REPOSITORY
    state: Path = DEFAULT_STATE
    recipients: tuple[str, ...] = ()
    recipients_dir: Path | None = None
    name: str | None = None
    existing_passphrase: Path | None = None
    """A passphrase file that is used instead of a new one."""
    media: Path | None = None
    secrets: tuple[Path, ...] = ()

    def beside(self, name: str) -> Path:
        """Return the place of `name` beside the configuration file."""
        return self.config_file.parent / name

    @property
    def passphrase_file(self) -> Path | None:
        """Where the passphrase is, or goes; None if backups are sealed to recipients."""
        return None if self.recipients else self.existing_passphrase or self.beside("passphrase")

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders in which something is made."""
        return tuple(dict.fromkeys((self.config_file.parent, self.repository.parent, self.state.parent)))

    @property
    def sheet(self) -> Path:
        """Where the recovery sheet goes."""
        return self.beside(RECOVERY_SHEET)


@dataclass(frozen=True, slots=True)
class InitialSettings:
    """The first configuration, still without the signing key's fingerprint, and the database's password if any.

    `pgpass` is the content of a pgpass file; `notes` say, by section, where values come from.
    """

    configuration: Configuration
    pgpass: str | None = field(repr=False)
    notes: dict[str, tuple[str, ...]]

    def with_fingerprint(self, fingerprint: str) -> Configuration:
        """Return the configuration with the signing key that has been made."""
        signing = self.configuration.signing.model_copy(update={"fingerprint": fingerprint})
        return self.configuration.model_copy(update={"signing": signing})


def initial_settings(request: InitRequest, environment: MastodonEnvironment | None) -> InitialSettings:
    """Return the configuration to make; nothing is written.

    Raise `UsageError` if no database is named or recipients lack their folder, `InvalidFileError` if a value is
    not valid or would put a secret into a folder that is carried to the vaults.
    """
    if bool(request.recipients) != (request.recipients_dir is not None):
        raise UsageError(
            "--recipient and --recipients-dir must be used together",
            hint="the folder must contain each recipient's public key as FINGERPRINT.asc: gpg --armor --export "
            "FINGERPRINT",
        )
    if request.recipients and request.existing_passphrase is not None:
        raise UsageError(
            "--recipient and --passphrase-file exclude each other",
            hint="backups are encrypted to public keys, or with a passphrase",
        )
    url, pgpass = _database(request, environment)
    document: dict[str, object] = {
        "server": {"name": request.name or _name_of(environment)},
        "database": {"url": url},
        "repository": {"path": request.repository},
        "state": {"path": request.state},
        "encryption": _encryption(request),
        "signing": {"gnupg_home": request.beside("gnupg"), "fingerprint": _NO_KEY_YET},
        "syncthing": {"home": request.state.parent / "syncthing"},
    }
    if request.recipients:
        document["schedule"] = {"drill": "off"}
    document["secrets"] = {"files": (*(environment.files if environment is not None else ()), *request.secrets)}
    if request.media is not None:
        document["media"] = {"path": request.media}
    elif environment is not None and isinstance(environment.storage, FileSystemStorage):
        document["media"] = {"path": environment.storage.path}
    elif environment is not None and isinstance(environment.storage, ObjectStorage) and environment.storage.public_url:
        document["media"] = {"public_url": environment.storage.public_url}
    configuration = validated(document, Configuration, request.config_file, KeyLines())
    _refuse_carried_secrets(request, configuration)
    return InitialSettings(configuration, pgpass, _notes(request, environment))


def _name_of(environment: MastodonEnvironment | None) -> str:
    domain = environment.local_domain if environment is not None else ""
    try:
        return domain.encode("idna").decode("ascii").lower() or "mastodon"
    except UnicodeError:
        return domain  # the model says what is wrong with it


def _encryption(request: InitRequest) -> dict[str, object]:
    if request.recipients:
        return {"recipients": request.recipients, "recipients_dir": request.recipients_dir}
    return {"passphrase_file": request.passphrase_file}


def _database(request: InitRequest, environment: MastodonEnvironment | None) -> tuple[str, str | None]:
    """Return the database's URL without a password, and the pgpass line with it."""
    passfile = request.beside("pgpass")
    if request.database_url is not None:
        return _without_password(request.database_url, passfile)
    if environment is None:
        raise UsageError(
            "no database was given",
            hint="--mastodon DIR reads it from DIR/.env.production, --database URL gives it: "
            "postgresql:///mastodon_production?host=/var/run/postgresql",
        )
    database = environment.direct_database()
    if database.password:
        return database.url(passfile), database.pgpass_line()
    return database.url(), None


def _without_password(url: str, passfile: Path) -> tuple[str, str | None]:
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError:
        return url, None  # the model says what is wrong with it
    password = parameters.pop("password", "")
    if not password:
        return url, None
    value: Callable[[str], str] = lambda name: parameters.get(name, "")  # noqa: E731 - four times the same
    single_host = "" if "," in value("host") else value("host")
    settings = DatabaseSettings(single_host, value("port"), value("dbname"), value("user"), value("sslmode"), password)
    return make_conninfo("", **{**parameters, "passfile": str(passfile)}), settings.pgpass_line()


def _refuse_carried_secrets(request: InitRequest, configuration: Configuration) -> None:
    problems = [Problem(request.config_file, message, key=key) for key, message in misplaced_secrets(configuration)]
    if request.sheet.resolve().is_relative_to(configuration.repository.path.resolve()):
        problems.append(Problem(request.sheet, "is in repository.path, which Syncthing carries to the vaults"))
    if problems:
        raise InvalidFileError(
            tuple(problems),
            hint="keep the configuration's folder, the state and the repository separate",
            unchanged="everything; nothing was created",
        )


def _notes(request: InitRequest, environment: MastodonEnvironment | None) -> dict[str, tuple[str, ...]]:
    notes: dict[str, tuple[str, ...]] = {}
    if request.recipients:
        notes["schedule"] = (
            "This server cannot open its own backups, so it cannot drill them.",
            "Drill a copy where the secret key is: permafrost drill --repository DIR --secret-key-file FILE.",
        )
    if environment is None:
        if request.media is None:
            notes["media"] = ("Neither Mastodon's folder nor --media was given to init.",)
        return notes
    source = f"From {environment.folder / '.env.production'}."
    notes["secrets"] = (source,)
    notes["media"] = (source if request.media is None else "From --media.",)
    if request.database_url is None:
        notes["database"] = (source, *(f"Note: {note}." for note in environment.database_notes()))
    if isinstance(environment.storage, ObjectStorage) and request.media is None:
        note = stored_media_note(environment.storage)
        notes["media"] = (f"{note[0].upper()}{note[1:]}.", source)
    return notes
