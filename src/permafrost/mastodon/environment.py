"""What Mastodon's environment files mean to Mastodon itself.

Only the files are read: what systemd or Docker add to the environment cannot be seen from here, and the process
environment would override the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from permafrost.errors import ConfigurationError
from permafrost.mastodon import secrets
from permafrost.mastodon.dotenv import parse_dotenv
from permafrost.mastodon.secrets import Version, read_version, secrets_needed
from permafrost.mastodon.settings import (
    POSTGRESQL_PORT,
    DatabaseSettings,
    ObjectStorage,
    RedisSettings,
    Storage,
)
from permafrost.mastodon.variables import database_of, redis_of, replica_of, storage_of
from permafrost.small_files import read_named

PGBOUNCER_PORT = "6432"
# the order in which dotenv-rails loads them in production: the first that sets a name wins
MOST_BYTES = 1 << 20
"""An environment file has some kilobytes."""
FILE_NAMES = (".env.production.local", ".env.local", ".env.production", ".env")
SECRETS_ENV = ".secrets_env"
"""The file in which NixOS gathers Mastodon's secrets as variables; it has no domain."""


def holds_variables(name: str) -> bool:
    """Return whether a file of this name among the secrets has them as variables."""
    return name.startswith(".env") or name == SECRETS_ENV


@dataclass(frozen=True, slots=True)
class MastodonEnvironment:
    """A Mastodon's settings; `files` are the environment files that were read, in order of precedence.

    `secrets_present` holds names only. `self_destruct` is set where the server has been told to erase itself
    from the fediverse.
    """

    folder: Path
    files: tuple[Path, ...]
    version: Version | None
    local_domain: str
    web_domain: str
    database: DatabaseSettings
    replica: DatabaseSettings | None
    redis: tuple[RedisSettings, ...]
    storage: Storage
    secrets_present: tuple[str, ...]
    self_destruct: bool
    unexpanded: tuple[str, ...] = field(default=())

    @property
    def secrets_missing(self) -> tuple[str, ...]:
        """The names of secrets that this version needs and that no file sets."""
        return tuple(name for name in secrets_needed(self.version) if name not in self.secrets_present)

    def direct_database(self) -> DatabaseSettings:
        """Return the database's settings with PgBouncer left out, as the documentation asks for pg_dump."""
        if self.database.port == PGBOUNCER_PORT:
            return replace(self.database, port=POSTGRESQL_PORT)
        return self.database

    def database_notes(self) -> tuple[str, ...]:
        """Return what the admin should know of the database's settings."""
        port = self.database.port
        if port == PGBOUNCER_PORT:
            note = (
                f"the database's port is {port}, PgBouncer's: pg_dump must reach PostgreSQL itself, as Mastodon's "
                f"documentation says (DB_PORT=5432), so {POSTGRESQL_PORT} is used; correct it if yours is different"
            )
            return (note,)
        if port not in ("", POSTGRESQL_PORT):
            note = (
                f"the database's port is {port}: if PgBouncer listens there, give the port of PostgreSQL itself "
                "instead (Mastodon's documentation: DB_PORT=5432)"
            )
            return (note,)
        return ()

    def notes(self) -> tuple[str, ...]:
        """Return what the admin should know of all other settings."""
        notes = []
        if isinstance(self.storage, ObjectStorage):
            notes.append(stored_media_note(self.storage))
        if self.secrets_missing:
            notes.append(
                f"not set in {', '.join(path.name for path in self.files)}: {', '.join(self.secrets_missing)}; if they "
                "are set elsewhere, as by systemd or Docker, add that file to secrets.files"
            )
        if self.self_destruct:
            notes.append(
                "SELF_DESTRUCT is set: a server started with these settings erases itself from the fediverse; remove "
                "it before you restore anything with them"
            )
        if self.unexpanded:
            notes.append(
                f"{', '.join(self.unexpanded)}: contains a $(command), which permafrost does not run; check the values "
                "taken from it"
            )
        return tuple(notes)


def stored_media_note(storage: ObjectStorage) -> str:
    """Return what the admin should know of media in an object store."""
    where = f"{storage.kind} ({storage.container or 'no container named'})"
    if storage.public_url:
        return f"media are in {where}: vaults fetch them from {storage.public_url}, where everyone reads them"
    if storage.kind == "S3":
        return f"media are in {where}, and nothing says where they are read: set public_url in [media]"
    return (
        f"media are in {where} and are not copied: permafrost knows the addresses of S3 alone; if everyone can read "
        "your media over HTTPS, set public_url in [media] yourself, and otherwise back them up by other means"
    )


def read_environment(folder: Path) -> MastodonEnvironment:
    """Return what the environment files in Mastodon's `folder` say.

    Raise `ConfigurationError` if there is no `.env.production`, or a file cannot be read.
    """
    values: dict[str, str] = {}
    files = []
    for name in FILE_NAMES:
        path = folder / name
        text = read_variables(path) if name == ".env.production" else _read(path)
        if text is not None:
            files.append(path)
            values = parse_dotenv(text, values) | values
    return environment_of(values, folder, tuple(files), read_version(folder))


def environment_among(secret_files: Sequence[Path]) -> MastodonEnvironment | None:
    """Return the settings in those of the files that have variables: .env.production, or NixOS's .secrets_env.

    None if there is no such file. Raise `ConfigurationError` if one cannot be read.
    """
    production = next((file for file in secret_files if file.name == ".env.production"), None)
    if production is not None:
        return read_environment(production.parent)
    variables = [file for file in secret_files if file.name == SECRETS_ENV]
    if not variables:
        return None
    values = parse_dotenv(read_variables(variables[0]))
    return environment_of(values, variables[0].parent, tuple(variables), None)


def read_variables(path: Path) -> str:
    """Return the text of an environment file; raise `ConfigurationError` if there is none, or it cannot be read."""
    text = _read(path)
    if text is None:
        raise ConfigurationError(
            f"there is no {path}",
            hint="--mastodon needs the folder that contains .env.production, usually /home/mastodon/live",
        )
    return text


def _read(path: Path) -> str | None:
    try:
        return read_named(path, MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}", hint="run this as root or as Mastodon's own user"
        ) from error


def environment_of(
    values: Mapping[str, str], folder: Path, files: tuple[Path, ...], version: Version | None
) -> MastodonEnvironment:
    """Return the settings that the variables `values` make, for a Mastodon in `folder`."""
    local_domain = values.get("LOCAL_DOMAIN", "")
    return MastodonEnvironment(
        folder=folder,
        files=files,
        version=version,
        local_domain=local_domain,
        web_domain=values.get("WEB_DOMAIN") or local_domain,
        database=database_of(values),
        replica=replica_of(values),
        redis=redis_of(values),
        storage=storage_of(values, folder),
        secrets_present=tuple(name for name in secrets.ALL if values.get(name)),
        self_destruct=bool(values.get("SELF_DESTRUCT")),
        unexpanded=tuple(name for name in sorted(values) if "$(" in values[name]),
    )
